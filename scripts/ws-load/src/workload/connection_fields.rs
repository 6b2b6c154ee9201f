//! What differs between the upgrade requests of the connections: header fields with placeholders, those of
//! `--header-file`, and placeholders in the path of the URL.

use super::{
    cli::ConnectArgs,
    input_files,
    template::{Template, TemplateValues},
    url::{self, LoadUrl},
};
use crate::{error::LoadError, numbers};
use std::sync::Arc;
use tungstenite::{
    handshake::client::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Uri, uri::PathAndQuery},
};
use ws_echo::platform::random::Random;

/// Header fields of an upgrade request that an option replaces. All other fields are added.
const SINGLE_FIELDS: [&str; 6] =
    ["host", "connection", "upgrade", "sec-websocket-version", "sec-websocket-key", "authorization"];

/// The lines of `--token-file`, one for each connection, again from the first one if there are not enough.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Vec<String>);

impl Tokens {
    pub(crate) fn read(args: &ConnectArgs) -> Result<Self, LoadError> {
        Ok(Self(
            args.token_file.as_deref().map(input_files::connection_lines).transpose()?.unwrap_or_default(),
        ))
    }

    pub(crate) fn of(&self, connection: u32) -> &str {
        line_of(&self.0, connection).map_or("", String::as_str)
    }

    /// Returns the length of the longest token, in bytes.
    pub(crate) fn max_len(&self) -> usize {
        self.0.iter().map(String::len).max().unwrap_or(0)
    }

    /// Fails if `template` needs tokens and there are none.
    pub(crate) fn check(&self, template: &Template) -> Result<(), LoadError> {
        if template.has_token() && self.0.is_empty() {
            return Err(LoadError::Usage("{token} needs --token-file".into()));
        }
        Ok(())
    }
}

fn line_of<T>(lines: &[T], connection: u32) -> Option<&T> {
    let index = u64::from(connection).checked_rem(numbers::usize_to_u64(lines.len()))?;
    lines.get(numbers::u64_to_usize(index))
}

/// What differs between the requests.
#[derive(Debug)]
pub(crate) struct ConnectionFields {
    pub(crate) tokens: Arc<Tokens>,
    /// Fields with placeholders.
    templates: Vec<(HeaderName, Template)>,
    /// The lines of `--header-file`.
    lines: Vec<(HeaderName, HeaderValue)>,
    /// The path and query, if it has placeholders.
    path: Option<Template>,
    nonce: u64,
}

impl ConnectionFields {
    /// Creates an empty set with the files of `args`. `is_kept` returns whether a field of a file may be
    /// sent.
    pub(crate) fn new(
        args: &ConnectArgs,
        url: &LoadUrl,
        is_kept: impl Fn(&HeaderName) -> bool,
    ) -> Result<Self, LoadError> {
        let tokens = Arc::new(Tokens::read(args)?);
        let lines = match &args.header_file {
            Some(path) => input_files::connection_lines(path)?
                .iter()
                .enumerate()
                .map(|(index, line)| {
                    let problem = |problem| format!("line {}: {problem}", index + 1);
                    let content = |problem| LoadError::Content { path: path.clone(), problem };
                    parse_field(line)
                        .and_then(|(name, text)| Ok((name, value(text.as_bytes())?)))
                        .map_err(|error| content(problem(error)))
                })
                .collect::<Result<Vec<_>, _>>()?,
            None => Vec::new(),
        };
        let lines = lines.into_iter().filter(|(name, _)| is_kept(name)).collect();
        let path =
            args.template.then(|| Template::parse(url::with_placeholders(&url.path_and_query).as_bytes()));
        let path = path.filter(|path| path.as_literal().is_none());
        path.iter().try_for_each(|path| tokens.check(path))?;
        Ok(Self { tokens, templates: Vec::new(), lines, path, nonce: Random::new().next_u64() })
    }

    /// Adds the field of an option to `fields`, or keeps it if it has placeholders.
    pub(crate) fn add(
        &mut self,
        fields: &mut HeaderMap,
        line: &str,
        has_template: bool,
    ) -> Result<(), LoadError> {
        let (name, text) = parse_field(line).map_err(LoadError::Usage)?;
        let template = Template::parse(text.as_bytes());
        if has_template && template.as_literal().is_none() {
            self.tokens.check(&template)?;
            self.templates.push((name, template));
        } else {
            put(fields, &name, value(text.as_bytes()).map_err(LoadError::Usage)?);
        }
        Ok(())
    }

    /// Returns the message of `--first` of `connection`.
    pub(crate) fn first_message(&self, first: &Template, connection: u32) -> Vec<u8> {
        let token = self.tokens.of(connection);
        first.expand(TemplateValues { connection, sequence: 0, token, nonce: self.nonce })
    }

    /// Changes the request to that of opening number `attempt` of `connection`.
    pub(crate) fn apply(&self, request: &mut Request, connection: u32, attempt: u64) {
        let token = self.tokens.of(connection);
        let values = TemplateValues { connection, sequence: attempt, token, nonce: self.nonce };
        for (name, template) in &self.templates {
            if let Ok(value) = value(&template.expand(values)) {
                put(request.headers_mut(), name, value);
            }
        }
        if let Some((name, value)) = line_of(&self.lines, connection) {
            put(request.headers_mut(), name, value.clone());
        }
        if let Some(path) = &self.path {
            let token = url::encode_component(token);
            let path = path.expand(TemplateValues { token: &token, ..values });
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = PathAndQuery::try_from(path).ok().or(parts.path_and_query);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
}

/// Splits a line into the name and the text of a header field.
fn parse_field(line: &str) -> Result<(HeaderName, &str), String> {
    let (name, text) =
        line.split_once(':').ok_or_else(|| format!("the header field \"{line}\" has no colon"))?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| format!("invalid name of a header field: \"{name}\""))?;
    Ok((name, text.trim()))
}

fn value(text: &[u8]) -> Result<HeaderValue, String> {
    HeaderValue::from_bytes(text)
        .map_err(|_| format!("invalid value of a header field: \"{}\"", String::from_utf8_lossy(text)))
}

fn put(fields: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    if fields.contains_key(name) && SINGLE_FIELDS.contains(&name.as_str()) {
        fields.insert(name, value);
    } else {
        fields.append(name, value);
    }
}
