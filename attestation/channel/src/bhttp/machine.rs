//! The state machine under both decoders: bytes of any split in, parts of a message out.

use super::encode::check_control;
use super::{BhttpError, Fields, Limits, RequestHead, fields, framing, varint};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
}

/// How lengths are given: before a part, or by a terminator after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Known,
    Indeterminate,
}

#[derive(Debug)]
pub(super) enum Control {
    /// Headers are still empty.
    Request(RequestHead),
    Response(u16),
}

/// A decoded part of a message of either kind.
#[derive(Debug)]
pub(super) enum Part {
    Head(Control, Fields),
    Content(Vec<u8>),
    Trailers(Fields),
}

#[derive(Debug)]
enum State {
    Framing,
    Control(Form),
    Headers(Form, Control, Section),
    /// Before a content length; `begun` when some content has come.
    ContentLength {
        form: Form,
        begun: bool,
    },
    Content {
        form: Form,
        left: u64,
    },
    Trailers(Form, Section),
    Padding,
    Refused(BhttpError),
}

/// A field section under way.
#[derive(Debug, Default)]
struct Section {
    fields: Fields,
    bytes: usize,
}

/// The state machine under both decoders: bytes in, parts out.
#[derive(Debug)]
pub(super) struct Machine {
    kind: Kind,
    limits: Limits,
    state: State,
    /// Bytes not yet taken by a part; bounded by the limits of the part that they wait for.
    pending: Vec<u8>,
    content: u64,
    padding: u64,
    informational: usize,
}

impl Machine {
    pub(super) fn new(kind: Kind, limits: Limits) -> Self {
        Machine { kind, limits, state: State::Framing, pending: Vec::new(), content: 0, padding: 0, informational: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Part>, BhttpError> {
        let mut input = std::mem::take(&mut self.pending);
        input.extend_from_slice(bytes);
        let mut rest = Input(&input);
        let mut parts = Vec::new();
        let outcome = self.run(&mut rest, &mut parts);
        let taken = input.len().saturating_sub(rest.0.len());
        if let Err(error) = outcome {
            self.state = State::Refused(error);
            return Err(error);
        }
        input.drain(..taken);
        self.pending = input;
        Ok(parts)
    }

    /// Takes parts until the input does not hold another whole one.
    fn run(&mut self, input: &mut Input<'_>, parts: &mut Vec<Part>) -> Result<(), BhttpError> {
        loop {
            let state = std::mem::replace(&mut self.state, State::Padding);
            match self.step(state, input, parts)? {
                Step::On(state) => self.state = state,
                Step::Wait(state) => {
                    self.state = state;
                    return Ok(());
                }
            }
        }
    }

    fn step(&mut self, state: State, input: &mut Input<'_>, parts: &mut Vec<Part>) -> Result<Step, BhttpError> {
        match state {
            State::Framing => {
                let Some(value) = input.varint() else {
                    return Ok(Step::Wait(State::Framing));
                };
                let form = match (self.kind, value) {
                    (Kind::Request, framing::KNOWN_REQUEST) | (Kind::Response, framing::KNOWN_RESPONSE) => Form::Known,
                    (Kind::Request, framing::INDETERMINATE_REQUEST)
                    | (Kind::Response, framing::INDETERMINATE_RESPONSE) => Form::Indeterminate,
                    _ => return Err(BhttpError::Malformed("framing indicator")),
                };
                Ok(Step::On(State::Control(form)))
            }
            State::Control(form) => match self.control(input)? {
                Some(control) => Ok(Step::On(State::Headers(form, control, Section::default()))),
                None => Ok(Step::Wait(State::Control(form))),
            },
            State::Headers(form, control, mut section) => {
                if !self.section(form, &mut section, input)? {
                    return Ok(Step::Wait(State::Headers(form, control, section)));
                }
                if let Control::Response(100..=199) = control {
                    self.informational = self.informational.saturating_add(1);
                    if self.informational > self.limits.informational {
                        return Err(BhttpError::TooLarge("number of informational responses"));
                    }
                    return Ok(Step::On(State::Control(form)));
                }
                parts.push(Part::Head(control, section.fields));
                Ok(Step::On(State::ContentLength { form, begun: false }))
            }
            State::ContentLength { form, begun } => {
                let Some(left) = input.varint() else {
                    return Ok(Step::Wait(State::ContentLength { form, begun }));
                };
                self.content = self.content.saturating_add(left);
                if self.content > self.limits.content {
                    return Err(BhttpError::TooLarge("content"));
                }
                Ok(Step::On(if left == 0 {
                    State::Trailers(form, Section::default())
                } else {
                    State::Content { form, left }
                }))
            }
            State::Content { form, left } => {
                let piece = input.up_to(left);
                if piece.is_empty() {
                    return Ok(Step::Wait(State::Content { form, left }));
                }
                let taken = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                parts.push(Part::Content(piece.to_vec()));
                let left = left.saturating_sub(taken);
                Ok(Step::On(match (form, left) {
                    (Form::Known, 0) => State::Trailers(form, Section::default()),
                    (Form::Indeterminate, 0) => State::ContentLength { form, begun: true },
                    _ => State::Content { form, left },
                }))
            }
            State::Trailers(form, mut section) => {
                if !self.section(form, &mut section, input)? {
                    return Ok(Step::Wait(State::Trailers(form, section)));
                }
                parts.push(Part::Trailers(section.fields));
                Ok(Step::On(State::Padding))
            }
            State::Padding => {
                let zeros = input.up_to(u64::MAX);
                if zeros.iter().any(|byte| *byte != 0) {
                    return Err(BhttpError::Malformed("padding: it is not zero"));
                }
                self.padding = self.padding.saturating_add(u64::try_from(zeros.len()).unwrap_or(u64::MAX));
                if self.padding > self.limits.padding {
                    return Err(BhttpError::TooLarge("padding"));
                }
                Ok(Step::Wait(State::Padding))
            }
            State::Refused(error) => Err(error),
        }
    }

    /// Control data as one unit: `None` while it is not whole.
    fn control(&self, input: &mut Input<'_>) -> Result<Option<Control>, BhttpError> {
        let mut ahead = *input;
        let control = match self.kind {
            Kind::Response => match ahead.varint() {
                Some(status) => Control::Response(
                    u16::try_from(status)
                        .ok()
                        .filter(|status| (100..=599).contains(status))
                        .ok_or(BhttpError::Malformed("status"))?,
                ),
                None => return Ok(None),
            },
            Kind::Request => {
                let mut parts = [const { String::new() }; 4];
                for part in &mut parts {
                    let Some(bytes) = ahead.prefixed(self.limits.control, "control data")? else {
                        return Ok(None);
                    };
                    *part = String::from_utf8(bytes.to_vec()).map_err(|_| BhttpError::Malformed("control data"))?;
                }
                let [method, scheme, authority, path] = parts;
                let head = RequestHead { method, scheme, authority, path, headers: Fields::new() };
                check_control(&head)?;
                Control::Request(head)
            }
        };
        *input = ahead;
        Ok(Some(control))
    }

    /// Goes on with a field section; true when it is whole.
    fn section(&self, form: Form, section: &mut Section, input: &mut Input<'_>) -> Result<bool, BhttpError> {
        match form {
            Form::Known => {
                let Some(bytes) = input.prefixed(self.limits.fields, "field section")? else {
                    return Ok(false);
                };
                let mut inner = Input(bytes);
                while !inner.0.is_empty() {
                    match self.line(section, &mut inner)? {
                        Line::Field => {}
                        Line::Terminator | Line::Partial => {
                            return Err(BhttpError::Malformed("field section"));
                        }
                    }
                }
                Ok(true)
            }
            Form::Indeterminate => loop {
                match self.line(section, input)? {
                    Line::Field => {}
                    Line::Terminator => return Ok(true),
                    Line::Partial => return Ok(false),
                }
            },
        }
    }

    /// Takes one field line as one unit.
    fn line(&self, section: &mut Section, input: &mut Input<'_>) -> Result<Line, BhttpError> {
        let mut ahead = *input;
        let room = self.limits.fields.saturating_sub(section.bytes);
        let Some(name) = ahead.prefixed(room, "field section")? else {
            return Ok(Line::Partial);
        };
        if name.is_empty() {
            *input = ahead;
            return Ok(Line::Terminator);
        }
        let room = room.saturating_sub(name.len());
        let Some(value) = ahead.prefixed(room, "field section")? else {
            return Ok(Line::Partial);
        };
        if section.fields.len() >= self.limits.field_count {
            return Err(BhttpError::TooLarge("number of fields"));
        }
        section.fields.push(fields::checked(name, value)?);
        section.bytes = section.bytes.saturating_add(input.0.len().saturating_sub(ahead.0.len()));
        *input = ahead;
        Ok(Line::Field)
    }

    /// Whether the input may end here (RFC 9292, section 3.8: empty content and trailers may be left out).
    pub(super) fn check_end(&self) -> Result<(), BhttpError> {
        if !self.pending.is_empty() {
            return Err(BhttpError::Truncated);
        }
        match &self.state {
            State::Refused(error) => Err(*error),
            State::Padding | State::ContentLength { begun: false, .. } => Ok(()),
            State::Trailers(_, section) if section.bytes == 0 => Ok(()),
            _ => Err(BhttpError::Truncated),
        }
    }
}

/// What one step leads to: another state at once, or the same with more input.
enum Step {
    On(State),
    Wait(State),
}

enum Line {
    Field,
    Terminator,
    Partial,
}

/// A cursor over the input; each read takes all of an element or nothing.
#[derive(Clone, Copy)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn varint(&mut self) -> Option<u64> {
        let (value, len) = varint::read(self.0)?;
        self.0 = self.0.get(len..)?;
        Some(value)
    }

    /// Length-prefixed bytes, refused as soon as the length is over `limit`.
    fn prefixed(&mut self, limit: usize, what: &'static str) -> Result<Option<&'a [u8]>, BhttpError> {
        let Some((len, prefix)) = varint::read(self.0) else {
            return Ok(None);
        };
        let len = usize::try_from(len).ok().filter(|len| *len <= limit).ok_or(BhttpError::TooLarge(what))?;
        let end = prefix.saturating_add(len);
        let (Some(bytes), Some(rest)) = (self.0.get(prefix..end), self.0.get(end..)) else {
            return Ok(None);
        };
        self.0 = rest;
        Ok(Some(bytes))
    }

    fn up_to(&mut self, most: u64) -> &'a [u8] {
        let len = usize::try_from(most).unwrap_or(usize::MAX).min(self.0.len());
        let (taken, rest) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }
}
