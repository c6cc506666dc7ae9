//! The mark of a file and its log, by which `log` can tell whether they belong together.

/// The bytes with which a mark begins, in the file.
const MAGIC: [u8; 12] = *b"KeyPackages1";

/// The length of a mark in the file.
const LENGTH: usize = 40;

/// A random number, drawn at each opening of the file, and whenever its log begins anew. Zeros: none was drawn yet.
pub(crate) type Generation = [u8; 8];

/// The content of the only row of `keypackage_pool_log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) generation: Generation,
    /// The generation of the mark that this one replaced.
    pub(crate) before: Generation,
    /// The schema cookie that the file had without its log when it was marked.
    pub(crate) file_cookie: u32,
    /// The schema cookie that it had with its log.
    pub(crate) cookie: u32,
    /// The page on which the file without its log had the mark before. 0: the file had another mark, or none.
    pub(crate) file_page: u32,
}

impl Mark {
    pub(crate) fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..12].copy_from_slice(&MAGIC);
        bytes[12..20].copy_from_slice(&self.generation);
        bytes[20..28].copy_from_slice(&self.before);
        bytes[28..32].copy_from_slice(&self.file_cookie.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.cookie.to_be_bytes());
        bytes[36..].copy_from_slice(&self.file_page.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<12>()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (before, rest) = rest.split_first_chunk()?;
        let (file_cookie, rest) = rest.split_first_chunk()?;
        let (cookie, rest) = rest.split_first_chunk()?;
        let mark = Self {
            generation: *generation,
            before: *before,
            file_cookie: u32::from_be_bytes(*file_cookie),
            cookie: u32::from_be_bytes(*cookie),
            file_page: u32::from_be_bytes(rest.try_into().ok()?),
        };
        (*magic == MAGIC).then_some(mark)
    }

    /// Finds the mark in a page of a log.
    ///
    /// The page is the leaf of a table with one row: its key 1, and a column of 40 bytes. No row of another table of ours
    /// looks like this, whatever bytes somebody has put into a KeyPackage.
    pub(crate) fn in_page(page: &[u8]) -> Option<Self> {
        /// The length of the row, its key, the length of the row's header, NULL for the key, a blob of 40 bytes.
        const ROW: [u8; 5] = [3 + LENGTH as u8, 1, 3, 0, 12 + 2 * LENGTH as u8];

        let is_leaf_with_one_row = page.first() == Some(&13) && page.get(3..5) == Some(&[0, 1]);
        let at = page.get(8..10).filter(|_| is_leaf_with_one_row)?;
        let at = usize::from(u16::from_be_bytes([at[0], at[1]]));
        let row = page.get(at..at + ROW.len() + LENGTH)?;
        Self::from_bytes(row.strip_prefix(&ROW)?)
    }
}
