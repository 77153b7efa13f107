//! Tests that a scrub finds what changes in the memory of a model that is in use, and names it. A
//! test changes the file of a mapped model in place. On Linux the map shows the change.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::unix::fs::FileExt;

use electra::ModelFile;
use electra_core::model::format::{ALIGNMENT, ENTRY_LEN, FIRST_SECTION, HEADER_LEN, SectionKind, field};
use electra_core::model::{Progress, Scrub, crc32};
use electra_core::{Model, ModelError};
use electra_tests::{Aligned, Random, Sizes, pack, temporary};
use proptest::prelude::*;

/// A model of about 12 KB, so that every bit can be tested.
const SMALLEST: Sizes = Sizes {
    vocab: 130,
    embedding: 16,
    hidden: 32,
    layers: 1,
    heads: 2,
    intermediate: 32,
    positions: 16,
    labels: Some(2),
};

/// A model that is in use, and its file.
struct InUse {
    bytes: Vec<u8>,
    file: File,
    model: ModelFile,
}

impl InUse {
    fn new(seed: u64) -> Self {
        let bytes = pack(&SMALLEST.checkpoint(seed));
        let path = temporary(&bytes);
        let file = File::options().write(true).open(&path).expect("opened");
        Self { bytes, file, model: ModelFile::open(&path).expect("a model") }
    }

    /// Flips bits, scrubs one round in pieces of `piece` bytes, and flips the bits back.
    fn scrub_with(&self, flips: &[Flip], piece: usize) -> Result<(), ModelError> {
        let mut damaged = self.bytes.clone();
        flips.iter().for_each(|flip| damaged[flip / 8] ^= 1 << (flip % 8));
        let touched = || flips.iter().map(|flip| flip / 8);
        touched().for_each(|at| self.write(at, &damaged[at..=at]));
        let outcome = round(self.model.model(), &mut Scrub::new(), [piece]);
        touched().for_each(|at| self.write(at, &self.bytes[at..=at]));
        outcome
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        self.file.write_all_at(bytes, at as u64).expect("written");
    }
}

/// Number of a bit: eight times the offset of its byte, plus the number of the bit in the byte. The
/// CRC-32 of the format processes the bits in this order.
type Flip = usize;

/// Scrubs one round in pieces of these sizes, which repeat.
fn round<I>(model: &Model<'_>, scrub: &mut Scrub, pieces: I) -> Result<(), ModelError>
where
    I: IntoIterator<Item = usize, IntoIter: Clone>,
{
    for piece in pieces.into_iter().cycle() {
        if model.scrub(scrub, piece)? == Progress::RoundComplete {
            break;
        }
    }
    Ok(())
}

/// The sections of a file with their places, from the section table. They include the padding.
fn sections(bytes: &[u8]) -> [(SectionKind, std::ops::Range<usize>); 7] {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) as usize;
    SectionKind::ALL.map(|kind| {
        let entry = HEADER_LEN + (kind as usize - 1) * ENTRY_LEN;
        let start = number(entry + 8);
        (kind, start..start + number(entry + 16).next_multiple_of(ALIGNMENT))
    })
}

/// The error that names the first section with a flipped bit, or else the header and the table.
fn expected(bytes: &[u8], flips: &[Flip]) -> ModelError {
    let is_hit = |place: &std::ops::Range<usize>| flips.iter().any(|flip| place.contains(&(flip / 8)));
    let hit = sections(bytes).into_iter().find(|(_, place)| is_hit(place));
    hit.map_or(ModelError::FileChecksum, |(kind, _)| ModelError::SectionChecksum(kind))
}

#[test]
#[cfg_attr(emulated, ignore = "takes minutes on an emulated processor")]
fn every_flipped_bit_is_found_and_its_section_is_named() {
    let model = InUse::new(81);
    for flip in 0..model.bytes.len() * 8 {
        let outcome = model.scrub_with(&[flip], 3000);
        assert_eq!(outcome, Err(expected(&model.bytes, &[flip])), "bit {flip}");
    }
    assert_eq!(round(model.model.model(), &mut Scrub::new(), [3000]), Ok(()));
}

/// The generator polynomial has degree 32 and the constant term 1, so it divides no polynomial of a
/// burst of up to 32 bits.
#[test]
#[cfg_attr(emulated, ignore = "takes minutes on an emulated processor")]
fn every_burst_of_up_to_32_bits_is_found() {
    let model = InUse::new(82);
    let mut random = Random::new(83);
    let bits = model.bytes.len() * 8;
    for len in 2..=32 {
        for index in 0..600 {
            // Half of the bursts are in header and table, some of them near the file's checksum.
            let start = match index % 4 {
                0 => (field::FILE_CRC - 4) * 8 + random.below(64),
                1 => random.below(FIRST_SECTION * 8),
                _ => random.below(bits - len),
            };
            let inner = random.below(1 << 15) << 15 | random.below(1 << 15);
            let is_set = |bit: &usize| *bit == 0 || *bit == len - 1 || inner >> (bit - 1) & 1 == 1;
            let flips: Vec<Flip> = (0..len).filter(is_set).map(|bit| start + bit).collect();
            let outcome = model.scrub_with(&flips, usize::MAX);
            assert_eq!(outcome, Err(expected(&model.bytes, &flips)), "bits {flips:?}");
        }
    }
}

/// The Hamming distance of this CRC-32 is 3 for sections of up to 2^32 - 1 bits.
#[test]
#[cfg_attr(emulated, ignore = "takes minutes on an emulated processor")]
fn every_pair_of_flipped_bits_is_found() {
    let model = InUse::new(84);
    let mut random = Random::new(85);
    for _ in 0..20_000 {
        let bits = model.bytes.len() * 8;
        let first = random.below(bits);
        let second = (first + 1 + random.below(bits - 1)) % bits;
        let outcome = model.scrub_with(&[first, second], usize::MAX);
        assert_eq!(outcome, Err(expected(&model.bytes, &[first, second])), "bits {first}, {second}");
    }
}

/// Computes what docs/trust.md says about the polynomial: two flips are found in up to 2^32 - 1
/// bits, and three in up to 91,607 bits with their checksum (Koopman 2002).
#[test]
fn the_polynomial_has_the_order_and_the_hamming_distance_of_the_documentation() {
    const POLYNOMIAL: u64 = 0x1_04c1_1db7;
    let reduce = |power: u64| if power >> 32 == 1 { power ^ POLYNOMIAL } else { power };
    let product = |a: u64, b: u64| {
        let add = |sum: u64, bit: u32| reduce(sum << 1) ^ if b >> bit & 1 == 1 { a } else { 0 };
        (0..32).rev().fold(0, add)
    };
    let power = |exponent: u64| {
        let step =
            |sum: u64, bit: u32| product(product(sum, sum), if exponent >> bit & 1 == 1 { 2 } else { 1 });
        (0..64).rev().fold(1, step)
    };
    const ORDER: u64 = (1 << 32) - 1;
    assert_eq!(power(ORDER), 1);
    // The prime factors of the order.
    for factor in [3, 5, 17, 257, 65_537] {
        assert_ne!(power(ORDER / factor), 1, "{factor}");
    }
    // Three flips are not found where x^a + x^b + 1 is a multiple of the polynomial.
    let mut seen = std::collections::HashSet::new();
    let mut current = 1;
    let degree = (1..100_000).find(|_| {
        seen.insert(current);
        current = reduce(current << 1);
        seen.contains(&(current ^ 1))
    });
    assert_eq!(degree, Some(91_607 + 32));
}

/// The file in its new form is a valid model. Only the checksum that the model had when it was
/// opened reveals the change.
#[test]
fn a_header_that_changes_together_with_its_checksum_is_found() {
    let model = InUse::new(86);
    let mut changed = model.bytes.clone();
    changed[field::FILE_CRC + 4] ^= 1;
    changed[field::FILE_CRC..field::FILE_CRC + 4].fill(0);
    let crc = crc32(&changed);
    changed[field::FILE_CRC..field::FILE_CRC + 4].copy_from_slice(&crc.to_le_bytes());
    assert!(Model::open(Aligned::copy_of(&changed).bytes()).is_ok());
    model.write(0, &changed);
    assert_eq!(round(model.model.model(), &mut Scrub::new(), [512]), Err(ModelError::FileChecksum));
}

#[test]
fn rounds_follow_each_other_and_pieces_have_their_size() {
    let model = InUse::new(87);
    let len = model.bytes.len();
    for piece in [FIRST_SECTION, 1000, 4096, len - 1, len, len + 1] {
        let mut scrub = Scrub::new();
        for _ in 0..3 {
            for index in 1..=len.div_ceil(piece) {
                let is_last = index == len.div_ceil(piece);
                let progress = if is_last { Progress::RoundComplete } else { Progress::Underway };
                assert_eq!(model.model.model().scrub(&mut scrub, piece), Ok(progress), "{piece}: {index}");
            }
        }
    }
    let mut scrub = Scrub::new();
    let is_over = |_| model.model.model().scrub(&mut scrub, 0) == Ok(Progress::RoundComplete);
    assert!((0..len).any(is_over), "pieces of at least one byte end a round");
    // A change behind the position of the scrub is found in the next round, and the error ends it.
    let (_, config) = &sections(&model.bytes)[0];
    let mut scrub = Scrub::new();
    assert_eq!(model.model.model().scrub(&mut scrub, config.end), Ok(Progress::Underway));
    model.write(config.start, &[!model.bytes[config.start]]);
    assert_eq!(round(model.model.model(), &mut scrub, [700]), Ok(()));
    let damaged = Err(ModelError::SectionChecksum(SectionKind::Config));
    assert_eq!(round(model.model.model(), &mut scrub, [700]), damaged);
    assert_eq!(round(model.model.model(), &mut scrub, [700]), damaged);
    model.write(0, &model.bytes);
    assert_eq!(round(model.model.model(), &mut scrub, [700]), Ok(()));
}

/// With the position of a longer model, the result is an error, but no panic.
#[test]
fn a_position_of_another_model_is_harmless() {
    let (short, long) = (InUse::new(88), Aligned::copy_of(&pack(&Sizes::TINY.checkpoint(88))));
    let long = Model::open(long.bytes()).expect("a model");
    for ahead in (FIRST_SECTION..long.file_len()).step_by(997) {
        let mut scrub = Scrub::new();
        assert_eq!(long.scrub(&mut scrub, ahead), Ok(Progress::Underway));
        assert!(round(short.model.model(), &mut scrub, [1 << 30]).is_err(), "{ahead} bytes ahead");
        assert_eq!(round(short.model.model(), &mut scrub, [1 << 30]), Ok(()));
    }
}

/// Checks the checksums with the definition of the format only.
fn verify(bytes: &[u8]) -> Result<(), ModelError> {
    for (kind, place) in sections(bytes) {
        let stored = HEADER_LEN + (kind as usize - 1) * ENTRY_LEN + 24;
        if crc32(&bytes[place]).to_le_bytes() != bytes[stored..stored + 4] {
            return Err(ModelError::SectionChecksum(kind));
        }
    }
    let mut zeroed = bytes.to_vec();
    zeroed[field::FILE_CRC..field::FILE_CRC + 4].fill(0);
    let is_intact = crc32(&zeroed).to_le_bytes() == bytes[field::FILE_CRC..field::FILE_CRC + 4];
    if is_intact { Ok(()) } else { Err(ModelError::FileChecksum) }
}

proptest! {
    #[test]
    fn pieces_of_any_size_agree_with_one_pass(
        pieces in prop::collection::vec(prop_oneof![0usize..70, 0usize..9000], 1..20),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<bool>(), 1u8..)),
    ) {
        let mut bytes = Aligned::copy_of(&pack(&SMALLEST.checkpoint(89)));
        if let Some((at, is_in_front, change)) = damage {
            let len = if is_in_front { FIRST_SECTION } else { bytes.bytes().len() };
            bytes.bytes_mut()[at.index(len)] ^= change;
        }
        if let Ok(model) = Model::parse(bytes.bytes()) {
            let expected = verify(bytes.bytes());
            prop_assert_eq!(model.verify(), expected);
            prop_assert_eq!(round(&model, &mut Scrub::new(), pieces), expected);
        }
    }
}
