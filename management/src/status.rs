//! How requests end: status codes and descriptions.

use std::fmt;

/// A status of the management protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 200: done.
    Ok,
    /// 201: created.
    Created,
    /// 204: done, there is nothing to show.
    NoContent,
    /// 400: the request cannot be meant.
    BadRequest,
    /// 403: this may not be done.
    Forbidden,
    /// 404: there is no such thing.
    NotFound,
    /// 500: the router failed.
    InternalError,
    /// 501: this cannot be done.
    NotImplemented,
}

impl Status {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Ok => 200,
            Self::Created => 201,
            Self::NoContent => 204,
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::InternalError => 500,
            Self::NotImplemented => 501,
        }
    }

    /// The description where there is nothing to say.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Created => "Created",
            Self::NoContent => "No Content",
            Self::BadRequest => "Bad Request",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::InternalError => "Internal Error",
            Self::NotImplemented => "Not Implemented",
        }
    }
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How.
    pub status: Status,
    /// The description for the asker.
    pub text: String,
}

impl Failure {
    /// A failure with a description of its own.
    #[must_use]
    pub fn new(status: Status, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    /// 403 for what a policy keeps requests from.
    #[must_use]
    pub(crate) fn not_allowed() -> Self {
        let text = "You are not allowed to perform this operation.";
        Self::new(Status::Forbidden, text)
    }

    /// 400 with a description.
    #[must_use]
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(Status::BadRequest, text)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::new(status, status.text())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}
