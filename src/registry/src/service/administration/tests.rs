//! Who may administer, and what there may be.

use super::*;
use crate::service::Caller;
use crate::store::Location;

/// A request may wait long for its turn; who was removed meanwhile is nobody any more.
#[tokio::test]
async fn who_was_removed_while_the_request_waited_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = Location::Sqlite(dir.path().join("r.db"));
    let store = Store::open(&file, 4).await.expect("a store");
    let administration = Administration::new(store.clone());
    let (project, admin) = administration.bootstrap().await.expect("a first run");
    let admin = admin.expect("a first principal").principal;
    let session = |id: &str| {
        let (id, name, role) = (id.to_owned(), "a".to_owned(), Role::Admin);
        let caller = Caller { id, name, role, address: String::new() };
        Session::new(store.clone(), project.clone(), caller, String::new())
    };
    let all = session(&admin.id);
    let own = all.create_member("own", Role::Admin, false).await.expect("a member").principal;
    let one = session(&own.id);
    let denied = |result: Result<Credentials>| {
        let error = result.expect_err("it is refused");
        assert_eq!(error.code, Code::PermissionDenied, "{error}");
    };
    denied(one.create_member("everywhere", Role::Admin, true).await);
    one.create_member("here", Role::Viewer, false).await.expect("it may do that");
    all.delete_member(&own.id).await.expect("it is removed");
    denied(one.create_member("everywhere", Role::Admin, true).await);
    denied(one.create_member("late", Role::Viewer, false).await);
    for refused in [
        one.delete_member(&admin.id).await.err(),
        one.create_webhook("https://example.com/", &[]).await.err(),
    ] {
        assert_eq!(refused.expect("it is refused").code, Code::PermissionDenied);
    }
    let names: Vec<String> =
        all.members().await.expect("members").into_iter().map(|one| one.name).collect();
    assert_eq!(names, [ADMIN, "here"]);
    store.close().await;
}

/// A principal may have been called as another's id when names were free.
#[tokio::test]
async fn the_principal_of_an_id_is_removed_and_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = Location::Sqlite(dir.path().join("r.db"));
    let store = Store::open(&file, 4).await.expect("a store");
    let administration = Administration::new(store.clone());
    let (project, _) = administration.bootstrap().await.expect("a first run");
    let one = administration.create_principal("ci", Role::Viewer, None).await;
    let one = one.expect("a principal").principal;
    let organization = &project.location.organization_id;
    let other = Credentials::new(organization, None, &one.id, Role::Viewer).principal;
    transaction!(store, |tx| tx.insert_principal(&other)).expect("it is called so");
    administration.delete_principal(&one.id).await.expect("it is removed");
    let names = async || {
        let all = administration.principals().await.expect("principals").into_iter();
        all.map(|it| it.name).collect::<Vec<String>>()
    };
    assert_eq!(names().await, [ADMIN, &one.id]);
    administration.delete_principal(&one.id).await.expect("by its name now");
    assert_eq!(names().await, [ADMIN]);
    let error = administration.create_principal(&one.id, Role::Viewer, None).await;
    assert_eq!(error.expect_err("it is refused").code, Code::InvalidArgument);
    store.close().await;
}

#[tokio::test]
async fn an_organization_has_so_many_principals_and_no_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = Location::Sqlite(dir.path().join("r.db"));
    let store = Store::open(&file, 4).await.expect("a store");
    let administration = Administration::new(store.clone());
    let (project, _) = administration.bootstrap().await.expect("a first run");
    let organization = &project.location.organization_id;
    let filled = transaction!(store, |tx| async {
        for number in 2..PRINCIPALS {
            let created = Credentials::new(organization, None, &format!("p{number}"), Role::Viewer);
            tx.insert_principal(&created.principal).await?;
        }
        Ok(())
    });
    filled.expect("there is room");
    administration.create_principal("last", Role::Viewer, None).await.expect("the last one");
    let error = administration.create_principal("more", Role::Viewer, None).await;
    let error = error.expect_err("it is refused");
    assert_eq!(error.code, Code::FailedPrecondition, "{error}");
    administration.delete_principal("last").await.expect("it is removed");
    administration.create_principal("more", Role::Viewer, None).await.expect("there is room");
    store.close().await;
}
