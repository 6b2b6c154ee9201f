//! `/info`: what the server saw of a request.

use serde_json::json;

use super::{Parameters, Plan, Setting, echo};
use crate::conversation::Conversation;

/// `/info`.
#[expect(clippy::unnecessary_wraps, reason = "the table calls them all alike")]
pub(super) fn plan(_: &Parameters, _: &Setting) -> Result<Plan, String> {
    Ok(Plan::talk(|conversation| {
        let seen = describe(conversation);
        conversation.send_text("", &seen)?;
        echo(conversation)
    }))
}

/// The request as JSON.
fn describe(conversation: &Conversation) -> String {
    let request = conversation.request();
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| json!([name, value])).collect();
    let tls = request
        .tls
        .as_ref()
        .map(|tls| json!({ "version": tls.version, "alpn": tls.alpn, "resumed": tls.resumed }));
    json!({
        "peer": conversation.handle().peer().to_string(),
        "path": request.path,
        "query": request.query,
        "headers": headers,
        "subprotocol": request.subprotocol,
        "extensions": request.extensions,
        "tls": tls,
    })
    .to_string()
}
