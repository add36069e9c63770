//! Length padding: buckets, the filler that brings an event stream's chunk to a bucket, and its removal.
//!
//! A model's answer streams token by token, and the length of each encrypted chunk tells much about the text.
//! Profile `bucket` (protocol.md A16) hides lengths inside coarse classes. Messages sent as a whole end in zero
//! bytes (RFC 9292, section 3.8); chunks of a server-sent-event stream carry a comment event of a fixed shape:
//! a line that starts with [`FILLER_MARKER`], then zeros, then a blank line. The receiver removes exactly these,
//! so that an application and a receipt see the same bytes whether padding is on or off.

/// What a filler event starts with. A line that starts with a colon is a comment for every event-stream parser.
pub const FILLER_MARKER: &[u8] = b":strongroom-filler ";

/// The bytes after the zeros: they end the comment line, and then the event.
const FILLER_END: &[u8] = b"\n\n";

/// The shortest filler: marker and end, with no zero between them.
pub const FILLER_LEAST: usize = FILLER_MARKER.len() + FILLER_END.len();

/// The longest filler that is made or removed: the largest step between buckets, and once more the shortest
/// filler. Longer look-alikes pass through, so a sender cannot make the receiver hold back without end.
pub const FILLER_MOST: usize = 2 * BUCKET_STEP;

/// The buckets below [`BUCKET_STEP`]; above it every multiple of the step is one.
const SMALL_BUCKETS: [usize; 4] = [256, 512, 1024, 2048];

/// The distance of the large buckets, in bytes.
const BUCKET_STEP: usize = 4096;

/// A padding profile, as the statement and the trust file name it. Ordered by how much it hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// No padding.
    Off,
    /// Requests, whole responses and event-stream chunks are brought to the next bucket.
    Bucket,
}

impl Profile {
    /// The profile's id on the wire.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Profile::Off => "off",
            Profile::Bucket => "bucket",
        }
    }

    /// The profile with this id; `None` for one that this version does not know.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Profile> {
        [Profile::Off, Profile::Bucket].into_iter().find(|profile| profile.id() == id)
    }

    /// Whether lengths are to be brought to buckets.
    #[must_use]
    pub fn pads(self) -> bool {
        self == Profile::Bucket
    }
}

/// The smallest bucket that holds `len` bytes: 256, 512, 1024, 2048, then multiples of 4096.
#[must_use]
pub fn bucket(len: usize) -> usize {
    SMALL_BUCKETS
        .into_iter()
        .find(|bucket| *bucket >= len)
        .unwrap_or_else(|| len.checked_next_multiple_of(BUCKET_STEP).unwrap_or(usize::MAX))
}

/// A filler event of exactly `len` bytes; `None` unless [`FILLER_LEAST`] ≤ `len` ≤ [`FILLER_MOST`].
#[must_use]
pub fn sse_filler(len: usize) -> Option<Vec<u8>> {
    let zeros = len.checked_sub(FILLER_LEAST)?;
    if len > FILLER_MOST {
        return None;
    }
    let mut filler = Vec::with_capacity(len);
    filler.extend_from_slice(FILLER_MARKER);
    filler.resize(FILLER_MARKER.len().saturating_add(zeros), b'0');
    filler.extend_from_slice(FILLER_END);
    Some(filler)
}

/// Brings one chunk of an event stream to a bucket by appending a filler event. The chunk must end after a whole
/// event (a blank line), since a filler is an event of its own.
pub fn pad_sse_chunk(chunk: &mut Vec<u8>) {
    let mut target = bucket(chunk.len());
    if target == chunk.len() {
        return;
    }
    if target.saturating_sub(chunk.len()) < FILLER_LEAST {
        target = bucket(target.saturating_add(1));
    }
    if let Some(filler) = sse_filler(target.saturating_sub(chunk.len())) {
        chunk.extend_from_slice(&filler);
    }
}

/// Removes filler events from an event stream that arrives in pieces, and nothing else.
///
/// Bytes that may still turn out to be a filler are held back until it is known. Fillers are looked for only where
/// an event can start: at the beginning, and after a blank line.
#[derive(Debug)]
pub struct FillerStripper {
    line: Line,
    filler: Filler,
}

/// Where in a line the stream stands, apart from a filler candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// After a blank line or at the beginning: an event can start here.
    Event,
    /// At the start of a line inside an event.
    Start,
    /// At the start of a line inside an event, after one carriage return.
    StartCr,
    /// Inside a line.
    Inside,
}

/// How much of a filler has been matched and is held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Filler {
    marker: usize,
    zeros: usize,
    end: usize,
}

impl Default for FillerStripper {
    fn default() -> Self {
        Self::new()
    }
}

impl FillerStripper {
    /// A stripper at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        FillerStripper { line: Line::Event, filler: Filler::default() }
    }

    /// Takes the next bytes of the stream; gives back those that are certainly not filler.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            self.take(*byte, &mut out);
        }
        out
    }

    /// The stream has ended: what was held back was no whole filler, and is given back.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.filler.bytes()
    }

    fn take(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.line != Line::Event {
            self.line = after(self.line, byte);
            out.push(byte);
            return;
        }
        match self.filler.take(byte) {
            Match::More => {}
            Match::Whole => self.filler = Filler::default(),
            Match::No => {
                // Not a filler after all: what was held back, then this byte, is ordinary text.
                let held = std::mem::take(&mut self.filler).bytes();
                for ordinary in held.iter().chain([&byte]) {
                    self.line = after(self.line, *ordinary);
                    out.push(*ordinary);
                }
            }
        }
    }
}

/// What one more byte makes of a filler candidate.
enum Match {
    More,
    Whole,
    No,
}

impl Filler {
    fn take(&mut self, byte: u8) -> Match {
        if self.end == 0 {
            if let Some(wanted) = FILLER_MARKER.get(self.marker) {
                if byte != *wanted {
                    return Match::No;
                }
                self.marker = self.marker.saturating_add(1);
                return Match::More;
            }
            if byte == b'0' && self.zeros < FILLER_MOST.saturating_sub(FILLER_LEAST) {
                self.zeros = self.zeros.saturating_add(1);
                return Match::More;
            }
        }
        if FILLER_END.get(self.end) != Some(&byte) {
            return Match::No;
        }
        self.end = self.end.saturating_add(1);
        if self.end == FILLER_END.len() { Match::Whole } else { Match::More }
    }

    fn bytes(self) -> Vec<u8> {
        let mut bytes = FILLER_MARKER.get(..self.marker).unwrap_or_default().to_vec();
        bytes.resize(bytes.len().saturating_add(self.zeros), b'0');
        bytes.extend_from_slice(FILLER_END.get(..self.end).unwrap_or_default());
        bytes
    }
}

fn after(line: Line, byte: u8) -> Line {
    match (line, byte) {
        (Line::Event | Line::Start | Line::StartCr, b'\n') => Line::Event,
        (Line::Start, b'\r') => Line::StartCr,
        (Line::Inside, b'\n') => Line::Start,
        _ => Line::Inside,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strip(pieces: &[&[u8]]) -> Vec<u8> {
        let mut stripper = FillerStripper::new();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(stripper.push(piece));
        }
        out.extend(stripper.finish());
        out
    }

    #[test]
    fn buckets_are_those_of_the_profile() {
        for (len, wanted) in [(0, 256), (256, 256), (257, 512), (2048, 2048), (2049, 4096), (4097, 8192), (8192, 8192)]
        {
            assert_eq!(bucket(len), wanted, "{len}");
        }
    }

    #[test]
    fn profiles_are_known_by_their_ids_only() {
        assert_eq!(Profile::from_id("bucket"), Some(Profile::Bucket));
        assert_eq!(Profile::from_id("off"), Some(Profile::Off));
        assert_eq!(Profile::from_id("Bucket"), None);
        assert!(Profile::Bucket > Profile::Off);
    }

    #[test]
    fn every_chunk_length_reaches_a_bucket() {
        for len in 0..9000 {
            let mut chunk = vec![b'x'; len];
            pad_sse_chunk(&mut chunk);
            assert_eq!(bucket(chunk.len()), chunk.len(), "{len}");
            assert!(chunk.len() - len <= FILLER_MOST);
        }
    }

    #[test]
    fn filler_is_an_event_stream_comment() {
        let filler = sse_filler(300).unwrap();
        assert_eq!(filler.len(), 300);
        assert!(filler.starts_with(b":") && filler.ends_with(b"\n\n"));
        assert_eq!(filler.iter().filter(|byte| **byte == b'\n').count(), 2);
        assert_eq!(sse_filler(FILLER_LEAST - 1), None);
        assert_eq!(sse_filler(FILLER_MOST + 1), None);
    }

    #[test]
    fn look_alikes_pass_through() {
        for look_alike in [
            &b": a comment\n\ndata: 1\n\n"[..],
            b":strongroom-filler 00x0\n\n",
            b":strongroom-filler 000\n",
            b":strongroom-filler 000\r\n\r\n",
            b":strongroom-fillers 000\n\n",
            b"data: a\n:strongroom-filler 000\n\n",
            b"data: :strongroom-filler 000\n\n",
            b":strongroom-filler ",
        ] {
            assert_eq!(strip(&[look_alike]), look_alike);
        }
        let mut endless = FILLER_MARKER.to_vec();
        endless.resize(FILLER_MOST * 3, b'0');
        assert_eq!(strip(&[&endless]), endless);
    }

    #[test]
    fn fillers_go_wherever_an_event_can_start() {
        let filler = sse_filler(200).unwrap();
        let stream =
            [&filler[..], b"data: 1\n\n", &filler, &filler, b"data: 2\r\n\r\n", &filler, b"data: [DONE]\n\n", &filler]
                .concat();
        assert_eq!(strip(&[&stream]), b"data: 1\n\ndata: 2\r\n\r\ndata: [DONE]\n\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn padded_streams_come_back_whatever_the_split(
            events in prop::collection::vec("[a-z0-9:\\-]{0,600}", 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let plain: Vec<Vec<u8>> = events.iter().map(|event| format!("data: {event}\n\n").into_bytes()).collect();
            let mut padded = Vec::new();
            for event in &plain {
                let mut chunk = event.clone();
                pad_sse_chunk(&mut chunk);
                padded.extend(chunk);
            }
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(padded.len() + 1)).collect();
            at.extend([0, padded.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &padded[pair[0]..pair[1]]).collect();
            prop_assert_eq!(strip(&pieces), plain.concat());
        }

        #[test]
        fn any_bytes_without_the_marker_are_untouched(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assume!(!bytes.windows(FILLER_MARKER.len()).any(|window| window == FILLER_MARKER));
            prop_assert_eq!(strip(&[&bytes]), bytes);
        }
    }
}
