//! Reads answers to their end and throws them away, counting their bytes.

use std::io::Write;

use flate2::write::GzDecoder;
use http::{Response, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{
    Trouble,
    list_meta::{Ends, ListMeta},
};

/// Reads an answer to its end; `count` is told the size of each piece as it comes.
pub async fn to_end(response: Response<Incoming>, count: impl Fn(usize)) -> Result<(), Trouble> {
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Trouble::Broken)?;
        count(frame.data_ref().map_or(0, bytes::Bytes::len));
    }
    Ok(())
}

/// Reads a list to its end and says what it said about itself.
pub async fn list(
    response: Response<Incoming>,
    count: impl Fn(usize),
) -> Result<ListMeta, Trouble> {
    let packed = response
        .headers()
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| encoding == "gzip");
    let mut taker = Taker::new(packed);
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Trouble::Broken)?;
        if let Some(piece) = frame.data_ref() {
            count(piece.len());
            taker.take(piece)?;
        }
    }
    taker.meta()
}

/// Unpacks as little as it can: once the head says enough, the rest only passes.
enum Taker {
    Plain(Ends),
    Packed(Box<GzDecoder<Ends>>),
    Enough(ListMeta),
}

impl Taker {
    fn new(packed: bool) -> Self {
        if packed {
            Self::Packed(Box::new(GzDecoder::new(Ends::default())))
        } else {
            Self::Plain(Ends::default())
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Trouble> {
        let (written, ends) = match self {
            Self::Plain(ends) => (ends.write_all(piece), &*ends),
            Self::Packed(decoder) => (decoder.write_all(piece), decoder.get_ref()),
            Self::Enough(_) => return Ok(()),
        };
        written.map_err(|_| Trouble::Broken)?;
        if ends.head_is_enough() {
            *self = Self::Enough(ends.meta());
        }
        Ok(())
    }

    fn meta(self) -> Result<ListMeta, Trouble> {
        match self {
            Self::Plain(ends) => Ok(ends.meta()),
            Self::Packed(decoder) => Ok(decoder.finish().map_err(|_| Trouble::Broken)?.meta()),
            Self::Enough(meta) => Ok(meta),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn packed(json: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder
            .write_all(json.as_bytes())
            .expect("memory takes everything");
        encoder.finish().expect("memory takes everything")
    }

    #[test]
    fn a_packed_list_is_unpacked_only_as_far_as_needed() {
        let items = r#"{"metadata":{"name":"x"}},"#.repeat(100_000);
        let typed = format!(
            r#"{{"kind":"PodList","metadata":{{"resourceVersion":"9"}},"items":[{items}{{}}]}}"#
        );
        let mut taker = Taker::new(true);
        let bytes = packed(&typed);
        taker
            .take(&bytes[..bytes.len() / 10])
            .expect("a good start");
        assert!(
            matches!(taker, Taker::Enough(_)),
            "the rest is still unpacked"
        );
        assert_eq!(
            taker.meta().expect("enough").resource_version.as_deref(),
            Some("9")
        );
    }

    #[test]
    fn a_custom_resources_list_is_unpacked_to_its_end() {
        let items = r#"{"metadata":{"name":"x"}},"#.repeat(1000);
        let custom = format!(r#"{{"items":[{items}{{}}],"metadata":{{"resourceVersion":"9"}}}}"#);
        let mut taker = Taker::new(true);
        for piece in packed(&custom).chunks(100) {
            taker.take(piece).expect("good pieces");
        }
        assert_eq!(
            taker.meta().expect("whole").resource_version.as_deref(),
            Some("9")
        );
    }
}
