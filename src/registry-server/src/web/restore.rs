//! Making a revoked version valid again, and calling a revocation off that is to come.

use axum::response::Redirect;
use maud::html;

use super::page::Page;
use super::parts::{shown_version, token_field, version_link};
use super::problem::Problem;
use super::web_session::{Change, PageContext};
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;
use ingot_registry::store::Role;

/// How many descendants are looked at.
const LISTED: u32 = 100;

/// Asks whether it is meant, and says what it does and what it does not.
pub(super) async fn show(context: PageContext) -> Result<Page, Problem> {
    if context.visit.principal.role < Role::Contributor {
        let text = "restoring a version needs the role contributor";
        return Err(Error::new(Code::PermissionDenied, text).into());
    }
    let (bucket, print) = (context.names.bucket.clone(), context.names.version.clone());
    let version = context.session.get_version(&bucket, &print).await?;
    if !version.revoke_at.is_set() {
        return Err(Error::precondition(
            "the version is not revoked, so there is nothing to restore",
        )
        .into());
    }
    let relations = context.session.relations_of(&bucket, &print, None).await?;
    let (descendants, _) = context.session.descendants(&bucket, &print, LISTED).await?;
    let name = shown_version(&version.name, &print);
    let revoked = version.status == VersionStatus::Revoked;
    let title = match revoked {
        true => format!("Restore {bucket} {name}"),
        false => format!("Cancel scheduled revocation of {bucket} {name}"),
    };
    let back = context.version_path(&bucket, &print, "");
    let action = context.version_path(&bucket, &print, "/restore");
    let breadcrumbs = [
        (bucket.as_str(), context.bucket_path(&bucket, "")),
        (name.as_str(), back.clone()),
        ("Restore", action.clone()),
    ];
    let parents: Vec<_> =
        relations.parents.iter().filter(|it| it.version.status == VersionStatus::Revoked).collect();
    let children = descendants.iter().filter(|it| it.status == version.status).count();
    Ok(Page::new(title.clone()).context(&context, &breadcrumbs).body(html! {
        form.dialogue.card method="post" action=(action) aria-labelledby="title" {
            h1 #title { (title) "?" }
            (token_field(&context.visit.form_token))
            ul.plain {
                @if revoked {
                    li { (name) " can be used again." }
                    li { "Channels stay where they are. Those that were rolled back when it was \
                          revoked have to be assigned to it again." }
                } @else {
                    li { (name) " stays valid. Channels stay where they are." }
                }
                @if children > 0 {
                    li { "What was built from it and inherited this becomes valid again, too: "
                        (children) @if children == 1 { " version." } @else { " versions." } }
                }
            }
            @for parent in &parents {
                div.alert.warn {
                    p { "It was built from " (parent.version.bucket) " "
                        (version_link(&context, &parent.version)) ", which is revoked and stays so. "
                        @if version.revocation_inherited_from.is_some() {
                            "It is not inherited from it any more after this."
                        } @else {
                            "If that revocation covers what was built from it, " (name)
                            " stays revoked by it until it is restored once more."
                        }
                    }
                }
            }
            div.buttons {
                button.main type="submit" {
                    @if revoked { "Restore " (name) } @else { "Cancel scheduled revocation" }
                }
                a.button href=(back) { "Back" }
            }
        }
    }))
}

/// Makes it so.
pub(super) async fn restore(Change { context, .. }: Change) -> Result<Redirect, Problem> {
    let (bucket, print) = (&context.names.bucket, &context.names.version);
    let body = UpdateVersionBody { restore: true, ..UpdateVersionBody::default() };
    let before = context.session.get_version(bucket, print).await?.status;
    context.session.update_version(bucket, print, &body).await?;
    let done = match before {
        VersionStatus::RevocationScheduled => "cancelled",
        _ => "restored",
    };
    Ok(Redirect::to(&context.version_path(bucket, print, &format!("?done={done}"))))
}
