//! Reads a write-ahead log without SQLite, and tells whether the log belongs to the file beside it.
//!
//! SQLite replays whatever log lies beside a file. A backup that was put in the place of a file whose store was killed would
//! get the log of the lost file: pages of another arrangement, or a restore that is undone without a word.
//! `docs/decisions/sqlite-log.md` says how a log is told, and why no log is refused after a crash.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use crate::file::mark::{Generation, Mark};

/// The length of the log's header, and of a frame's.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Two numbers that SQLite draws anew whenever it begins the log anew.
pub(crate) type Salts = [u8; 8];

/// What the committed transactions of a log say of the file that it belongs to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) salts: Salts,
    /// The number of committed transactions.
    pub(crate) commits: u64,
    /// The marks in the log, in their order, and the numbers of their pages.
    pub(crate) marks: Vec<(u32, Mark)>,
    /// The schema cookies of the first page, where the log has the page.
    pub(crate) cookies: BTreeSet<u32>,
}

/// What the file itself says, without its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Base {
    /// The page of the file's mark. `None`: not found.
    pub(crate) page: Option<u32>,
    /// The generation in the file's mark. `None`: not found.
    pub(crate) generation: Option<Generation>,
    /// The schema cookie, a number that SQLite keeps in the first page.
    pub(crate) cookie: u32,
}

impl Log {
    /// Returns whether the log may belong to a file.
    ///
    /// At any moment, a page of the file is as it was when the log began, or as some transaction of the log left it. This
    /// holds after a crash too, in the middle of a checkpoint. So:
    ///
    /// - The file's cookie is the one that the file had when the log was marked, or one of the log.
    /// - Unless the schema has changed meanwhile, the file has its mark on the same page as then.
    /// - The file's generation is the one before the log's first, or one of the log: as far as the mark has its page all the
    ///   time. After a `VACUUM`, parts of two arrangements may be in the file.
    pub(crate) fn may_belong_to(&self, base: Base) -> bool {
        let Some((_, first)) = self.marks.first() else {
            return true;
        };
        let mut cookies = self.cookies.clone();
        for (_, mark) in &self.marks {
            cookies.extend([mark.file_cookie, mark.cookie]);
        }
        let stays = first.file_page != 0 && self.marks.iter().all(|(page, _)| *page == first.file_page);
        let is_there = base.page == Some(first.file_page);
        let page = is_there || !stays || cookies.len() > 1;
        let generation = !is_there || !stays || base.generation.is_none_or(|found| self.has(first.before, found));
        cookies.contains(&base.cookie) && page && generation
    }

    fn has(&self, before: Generation, generation: Generation) -> bool {
        generation == before || self.marks.iter().any(|(_, mark)| mark.generation == generation)
    }

    /// Reads the log of a file. `None`: there is no log, or nothing in it that SQLite would replay.
    pub(crate) fn read(path: &Path) -> io::Result<Option<Self>> {
        // No lock of SQLite is on the log itself, so to close it again ends none.
        let mut file = match File::open(path) {
            Ok(file) => BufReader::with_capacity(1 << 16, file),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut header = [0; HEADER];
        if !fill(&mut file, &mut header)? {
            return Ok(None);
        }
        let Some((mut sums, page_size)) = Checksums::of_header(&header) else {
            return Ok(None);
        };
        let mut log = Self {
            salts: salts_in(&header),
            ..Self::default()
        };
        let mut uncommitted = Self::default();
        let mut frame_header = [0; FRAME_HEADER];
        let mut page = vec![0; page_size];
        while fill(&mut file, &mut frame_header)? && fill(&mut file, &mut page)? {
            // From here on, the log holds what is left of the one before, or a write that a crash cut off.
            if frame_header[8..16] != log.salts || !sums.follow(&frame_header, &page) {
                break;
            }
            let page_number = number(&frame_header, 0);
            let mark = Mark::in_page(&page).map(|mark| (page_number, mark));
            uncommitted.marks.extend(mark);
            if page_number == 1 {
                uncommitted.cookies.insert(number(&page, 40));
            }
            let is_commit = number(&frame_header, 4) != 0;
            if is_commit {
                log.marks.append(&mut uncommitted.marks);
                log.cookies.append(&mut uncommitted.cookies);
                log.commits += 1;
            }
        }
        Ok(Some(log).filter(|log| log.commits > 0))
    }
}

/// Returns the path of the log of a file. SQLite puts the log beside the file itself, not beside a link to the file.
pub(crate) fn path_of(file: &Path) -> PathBuf {
    let mut path = fs::canonicalize(file)
        .unwrap_or_else(|_| file.to_owned())
        .into_os_string();
    path.push("-wal");
    path.into()
}

/// Reads the salts of a log. `None`: the log is empty.
pub(crate) fn salts(mut log: &File) -> Option<Salts> {
    let mut header = [0; HEADER];
    let read = log.rewind().and_then(|()| log.read_exact(&mut header));
    read.ok().map(|()| salts_in(&header))
}

fn salts_in(header: &[u8; HEADER]) -> Salts {
    let mut salts = Salts::default();
    salts.copy_from_slice(&header[16..24]);
    salts
}

/// Reads as much as the buffer holds. `false`: the file ends before.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads a number of four bytes, the highest first.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4]
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// The running checksum of a log: each frame's covers all before the frame.
struct Checksums {
    sums: [u32; 2],
    is_big_endian: bool,
}

impl Checksums {
    /// Begins with the header of a log, and returns the size of its pages. `None`: SQLite would not replay such a log.
    fn of_header(header: &[u8; HEADER]) -> Option<(Self, usize)> {
        const MAGIC: u32 = 0x377f_0682;
        const VERSION: u32 = 3_007_000;

        let magic = number(header, 0);
        let page_size = number(header, 8);
        if magic & !1 != MAGIC
            || number(header, 4) != VERSION
            || !page_size.is_power_of_two()
            || !(512..=65_536).contains(&page_size)
        {
            return None;
        }
        let mut sums = Self {
            sums: [0; 2],
            is_big_endian: magic & 1 == 1,
        };
        sums.add(&header[..24]);
        let is_whole = sums.sums == [number(header, 24), number(header, 28)];
        is_whole.then_some((sums, page_size as usize))
    }

    /// Goes on to the next frame. `false`: the frame is not whole.
    fn follow(&mut self, frame_header: &[u8; FRAME_HEADER], page: &[u8]) -> bool {
        self.add(&frame_header[..8]);
        self.add(page);
        self.sums == [number(frame_header, 16), number(frame_header, 20)]
    }

    fn add(&mut self, bytes: &[u8]) {
        let word = |bytes: &[u8]| {
            let number = number(bytes, 0);
            if self.is_big_endian {
                number
            } else {
                number.swap_bytes()
            }
        };
        let [mut first, mut second] = self.sums;
        for pair in bytes.chunks_exact(8) {
            first = first.wrapping_add(word(pair)).wrapping_add(second);
            second = second.wrapping_add(word(&pair[4..])).wrapping_add(first);
        }
        self.sums = [first, second];
    }
}
