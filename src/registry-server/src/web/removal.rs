//! Removing buckets and channels, and who may read a channel.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::page::Page;
use super::parts::{no_enter, token_field};
use super::problem::Problem;
use super::web_session::{Change, PageContext};
use ingot_registry::api::*;
use ingot_registry::client::Registry as _;
use ingot_registry::store::Role;

fn need(context: &PageContext, role: Role) -> Result<()> {
    if context.visit.principal.role >= role {
        return Ok(());
    }
    Err(Error::new(Code::PermissionDenied, format!("this needs the role {}", role.as_str())))
}

/// What can be set of a channel, on its page.
pub(super) fn channel_settings(context: &PageContext, channel: &Channel) -> Markup {
    let path = |rest: &str| context.channel_path(&channel.bucket_name, &channel.name, rest);
    html! {
        section.card aria-labelledby="settings" {
            h2 #settings { "Settings" }
            form.line method="post" action=(path("/access")) {
                (token_field(&context.visit.form_token))
                label.choice {
                    input type="checkbox" name="restricted" value="yes" checked[channel.restricted];
                    span { "Restricted: viewers cannot read it" }
                }
                button type="submit" { "Save" }
            }
            @if !channel.managed {
                p { a.button.danger href=(path("/delete")) { "Delete channel…" } }
            }
        }
    }
}

/// Sets who may read a channel.
pub(super) async fn access(Change { context, fields }: Change) -> Result<Redirect, Problem> {
    let (bucket, name) = (&context.names.bucket, &context.names.channel);
    let change = UpdateChannelBody {
        update_mask: "restricted".into(),
        restricted: fields.ticked("restricted"),
        ..UpdateChannelBody::default()
    };
    context.session.update_channel(bucket, name, &change).await?;
    Ok(Redirect::to(&context.channel_path(bucket, name, "")))
}

/// Asks whether a channel is to go.
pub(super) async fn ask_channel(context: PageContext) -> Result<Page, Problem> {
    need(&context, Role::Contributor)?;
    let (bucket, name) = (context.names.bucket.clone(), context.names.channel.clone());
    let channel = context.session.get_channel(&bucket, &name).await?;
    let own = context.channel_path(&bucket, &name, "");
    let action = context.channel_path(&bucket, &name, "/delete");
    let breadcrumbs = [
        (bucket.as_str(), context.bucket_path(&bucket, "")),
        (name.as_str(), own.clone()),
        ("Delete", action.clone()),
    ];
    let title = format!("Delete the channel {name} of {bucket}");
    Ok(Page::new(title.clone()).context(&context, &breadcrumbs).body(html! {
        form.dialogue.card method="post" action=(action) {
            h1 { (title) "?" }
            (token_field(&context.visit.form_token))
            ul.plain {
                li { "Templates and Terraform configurations that ask for it fail." }
                li { "Its history is gone. What was built by way of it is not, but whether that is "
                    "out of date is undetermined from then on." }
                @if let Some(version) = &channel.version {
                    li { (version.name) ", which it points at, stays." }
                }
            }
            div.buttons {
                button.danger type="submit" { "Delete " (name) }
                a.button href=(own) { "Cancel" }
            }
        }
    }))
}

/// Removes a channel.
pub(super) async fn channel(Change { context, .. }: Change) -> Result<Redirect, Problem> {
    let (bucket, name) = (&context.names.bucket, &context.names.channel);
    context.session.delete_channel(bucket, name).await?;
    Ok(Redirect::to(&context.bucket_path(bucket, "/channels")))
}

/// Asks whether a bucket is to go, and for its name.
pub(super) async fn ask_bucket(context: PageContext) -> Result<Page, Problem> {
    bucket_page(&context, None).await
}

async fn bucket_page(context: &PageContext, wrong: Option<&str>) -> Result<Page, Problem> {
    need(context, Role::Admin)?;
    let name = context.names.bucket.clone();
    let bucket = context.session.get_bucket(&name).await?;
    let channels = context.session.list_channels(&name).await?.channels.len();
    let query = AncestryQuery { kind: BucketAncestryType::Children, ..AncestryQuery::default() };
    let page = ingot_registry::api::Page { size: 1, ..Default::default() };
    let children = context.session.list_ancestry(&name, &query, &page).await?.total_count;
    let own = context.bucket_path(&name, "");
    let action = context.bucket_path(&name, "/delete");
    let breadcrumbs = [(name.as_str(), own.clone()), ("Delete", action.clone())];
    let title = format!("Delete the bucket {name}");
    Ok(Page::new(title.clone()).context(context, &breadcrumbs).body(html! {
        form.dialogue.card method="post" action=(action) novalidate {
            h1 { (title) "?" }
            (token_field(&context.visit.form_token))
            (no_enter())
            ul.plain {
                li { "Versions that go with it: " strong { (bucket.version_count) } }
                li { "Channels that go with it: " strong { (channels) } }
                li { "Relations to what was built from it, which are forgotten: " strong { (children) } }
                li { "Images stay where they are: the registry only knows of them." }
                li { "It cannot be taken back." }
            }
            div.field {
                label for="name" { "Type the bucket’s name to confirm" }
                input #name name="name" autocomplete="off" spellcheck="false" maxlength="200"
                    aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "name-hint")];
                @if let Some(wrong) = wrong {
                    p.hint #name-hint { span.wrong role="alert" { (wrong) } }
                }
            }
            div.buttons {
                button.danger type="submit" { "Delete " (name) }
                a.button href=(own) { "Cancel" }
            }
        }
    }))
}

/// Removes a bucket, if its name was typed.
pub(super) async fn bucket(Change { context, fields }: Change) -> Result<Response, Problem> {
    let name = context.names.bucket.clone();
    if fields.text("name").trim() != name {
        let wrong = format!("This is not the bucket’s name, which is {name}. Nothing was deleted.");
        let page = bucket_page(&context, Some(&wrong)).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    context.session.delete_bucket(&name).await?;
    Ok(Redirect::to(&context.buckets_path()).into_response())
}
