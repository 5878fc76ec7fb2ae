//! Owns reading a tree's files ahead of the compressor: a few threads read and hash, one consumer gets the bytes in order.
//!
//! Memory is bounded: a fixed number of pieces of work is in flight, each of them at most a few chunks.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use sha2::{Digest, Sha256 as Hasher};

use crate::model::{Sha256, TreePath};
use crate::tree::{FileNode, ReadError};

/// Bytes that are handed over at once. Smaller files travel together.
const CHUNK: usize = 128 * 1024;
const FILES_AT_ONCE: usize = 64;
const IN_FLIGHT: usize = 6;
const READERS: usize = 2;

type File<'a> = (&'a TreePath, &'a FileNode);

/// Gets the files' content in order.
pub(super) trait Sink {
    type Error: From<ReadError>;
    /// The next file begins. Called for every file, in order.
    fn begin(&mut self, index: usize) -> Result<(), Self::Error>;
    /// Some of its content.
    fn content(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

enum Work {
    /// Small files, in one message.
    Batch(Range<usize>),
    /// One file, in many.
    Stream(usize),
}

enum Message {
    Batch { bytes: Vec<u8>, hashes: Vec<Sha256> },
    Part(Vec<u8>),
    End(Sha256),
    Failed(ReadError),
}

/// Reads every file once; gives their hashes in order.
pub(super) fn feed<S: Sink>(files: &[File<'_>], sink: &mut S) -> Result<Vec<Sha256>, S::Error> {
    let pool = Mutex::new(Vec::new());
    let (work, todo) = channel::<(Work, SyncSender<Message>)>();
    let todo = Mutex::new(todo);
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| read_work(files, &todo, &pool));
        }
        consume(files, work, &pool, sink)
    })
}

type Pool = Mutex<Vec<Vec<u8>>>;

fn consume<S: Sink>(
    files: &[File<'_>],
    work: Sender<(Work, SyncSender<Message>)>,
    pool: &Pool,
    sink: &mut S,
) -> Result<Vec<Sha256>, S::Error> {
    let mut hashes = Vec::with_capacity(files.len());
    let mut planned = 0;
    let mut in_flight: VecDeque<(Work, Receiver<Message>)> = VecDeque::with_capacity(IN_FLIGHT);
    loop {
        while in_flight.len() < IN_FLIGHT && planned < files.len() {
            let range = next_work(files, planned);
            planned = range.end;
            let piece = || {
                if range.len() == 1 && files[range.start].1.size > CHUNK as u64 {
                    Work::Stream(range.start)
                } else {
                    Work::Batch(range.clone())
                }
            };
            let (results, from_reader) = sync_channel(2);
            // The readers live as long as this sender does.
            let _ = work.send((piece(), results));
            in_flight.push_back((piece(), from_reader));
        }
        let Some((piece, messages)) = in_flight.pop_front() else {
            return Ok(hashes);
        };
        if let Work::Stream(index) = piece {
            sink.begin(index)?;
        }
        for message in messages {
            match message {
                Message::Failed(error) => return Err(error.into()),
                Message::Part(bytes) => {
                    sink.content(&bytes)?;
                    give_back(pool, bytes);
                }
                Message::End(hash) => hashes.push(hash),
                Message::Batch {
                    bytes,
                    hashes: of_batch,
                } => {
                    let Work::Batch(range) = &piece else { continue };
                    let mut rest = bytes.as_slice();
                    for index in range.clone() {
                        sink.begin(index)?;
                        let size = usize::try_from(files[index].1.size).unwrap_or(rest.len());
                        let (content, others) = rest.split_at(size.min(rest.len()));
                        sink.content(content)?;
                        rest = others;
                    }
                    hashes.extend(of_batch);
                    give_back(pool, bytes);
                }
            }
        }
    }
}

fn next_work(files: &[File<'_>], start: usize) -> Range<usize> {
    let mut bytes = 0;
    let mut end = start;
    while end < files.len() && end - start < FILES_AT_ONCE {
        bytes += files[end].1.size;
        if bytes > CHUNK as u64 && end > start {
            break;
        }
        end += 1;
        if bytes > CHUNK as u64 {
            break;
        }
    }
    start..end
}

fn read_work(files: &[File<'_>], todo: &Mutex<Receiver<(Work, SyncSender<Message>)>>, pool: &Pool) {
    loop {
        let next = match todo.lock() {
            Ok(todo) => todo.recv(),
            Err(_) => return,
        };
        let Ok((work, results)) = next else { return };
        let outcome = match work {
            Work::Batch(range) => read_batch(&files[range], pool),
            Work::Stream(index) => read_stream(files[index], pool, &results),
        };
        // Nobody listens any more when the consumer has failed.
        let _ = results.send(outcome.unwrap_or_else(Message::Failed));
    }
}

fn read_batch(files: &[File<'_>], pool: &Pool) -> Result<Message, ReadError> {
    let mut bytes = take(pool);
    let mut hashes = Vec::with_capacity(files.len());
    for (path, file) in files {
        let start = bytes.len();
        bytes.resize(start + usize::try_from(file.size).unwrap_or(CHUNK), 0);
        let mut reader = file.open(path)?;
        let mut at = start;
        while at < bytes.len() {
            match reader.read(&mut bytes[at..])? {
                0 => return Err(ReadError::Changed { path: path.to_string() }),
                got => at += got,
            }
        }
        // The end is asked for as well: it is what notices a change.
        reader.read(&mut [0])?;
        hashes.push(Sha256(Hasher::digest(&bytes[start..]).into()));
    }
    Ok(Message::Batch { bytes, hashes })
}

fn read_stream((path, file): File<'_>, pool: &Pool, results: &SyncSender<Message>) -> Result<Message, ReadError> {
    let mut reader = file.open(path)?;
    let mut hasher = Hasher::new();
    loop {
        let mut bytes = take(pool);
        bytes.resize(CHUNK, 0);
        let got = reader.read(&mut bytes)?;
        if got == 0 {
            give_back(pool, bytes);
            return Ok(Message::End(Sha256(hasher.finalize().into())));
        }
        bytes.truncate(got);
        hasher.update(&bytes);
        if results.send(Message::Part(bytes)).is_err() {
            return Ok(Message::End(Sha256([0; 32])));
        }
    }
}

fn take(pool: &Pool) -> Vec<u8> {
    pool.lock()
        .ok()
        .and_then(|mut pool| pool.pop())
        .unwrap_or_else(|| Vec::with_capacity(CHUNK))
}

fn give_back(pool: &Pool, mut bytes: Vec<u8>) {
    bytes.clear();
    if let Ok(mut pool) = pool.lock() {
        pool.push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    struct Collect {
        out: Vec<(usize, Vec<u8>)>,
        fail_at: Option<usize>,
    }

    impl Sink for Collect {
        type Error = ReadError;
        fn begin(&mut self, index: usize) -> Result<(), ReadError> {
            if self.fail_at == Some(index) {
                return Err(ReadError::Changed { path: "x".into() });
            }
            self.out.push((index, Vec::new()));
            Ok(())
        }
        fn content(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
            self.out.last_mut().unwrap().1.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn sample() -> Tree {
        let mut tree = Tree::new();
        for i in 0..300_usize {
            let size = match i % 50 {
                7 => 0,
                8 => CHUNK - 1,
                9 => CHUNK,
                10 => CHUNK + 1,
                11 => 3 * CHUNK + 5,
                n => n * 10,
            };
            let bytes: Vec<u8> = (0..size).map(|j| (i * 31 + j * 7) as u8).collect();
            tree.insert_bytes(format!("f{i:03}").parse().unwrap(), false, bytes)
                .unwrap();
        }
        tree
    }

    #[test]
    fn content_and_hashes_come_in_order() {
        let tree = sample();
        let files: Vec<_> = tree.files().collect();
        let mut sink = Collect {
            out: Vec::new(),
            fail_at: None,
        };
        let hashes = feed(&files, &mut sink).unwrap();
        assert_eq!(sink.out.len(), files.len());
        for (position, (index, bytes)) in sink.out.iter().enumerate() {
            assert_eq!(position, *index);
            assert_eq!(bytes.len() as u64, files[*index].1.size);
            assert_eq!(hashes[*index], Sha256(Hasher::digest(bytes).into()));
            assert_eq!(*bytes, files[*index].1.head(files[*index].0, u64::MAX).unwrap());
        }
        assert!(feed(&[], &mut sink).unwrap().is_empty());
    }

    #[test]
    fn a_failing_consumer_ends_the_readers() {
        let tree = sample();
        let files: Vec<_> = tree.files().collect();
        for fail_at in [0, 11, 12, 150] {
            let mut sink = Collect {
                out: Vec::new(),
                fail_at: Some(fail_at),
            };
            assert!(feed(&files, &mut sink).is_err());
        }
    }
}
