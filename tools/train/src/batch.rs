//! Texts of one forward pass, and their changed copies.

use tch::{Device, Tensor};

use crate::classification::EncodedExample;
use crate::device::upload;
use crate::error::Result;

/// Texts of one forward pass, on the device. Their changed copies are the last rows.
#[derive(Debug)]
pub struct LabelledBatch {
    /// `[rows, tokens]`, i64.
    pub ids: Tensor,
    /// `[rows, tokens]`, bool, false at padding; `None` without padding.
    pub present: Option<Tensor>,
    /// `[rows]`, i64; [`Self::NO_LABEL`] for a text without a label.
    pub labels: Tensor,
    /// `[rows, labels]`, bool, see [`EncodedExample::known`]; `None` if every source covers all
    /// labels.
    pub known: Option<Tensor>,
    /// `[texts, labels]`, f32, see [`EncodedExample::taught`]; NaN in the rows of texts without an
    /// answer, `None` if no text has an answer.
    pub taught: Option<Tensor>,
    /// `[copies]`, i64: for each copy, the row of its text; `None` without copies.
    pub originals: Option<Tensor>,
}

impl LabelledBatch {
    /// Label that the losses ignore.
    pub const NO_LABEL: i64 = -1;

    /// Returns a batch of texts without labels, answers or copies.
    pub fn unlabelled(ids: Tensor, present: Option<Tensor>) -> Result<Self> {
        let labels = ids.f_select(1, 0)?.f_full_like(Self::NO_LABEL)?;
        Ok(Self { ids, present, labels, known: None, taught: None, originals: None })
    }

    /// Builds a batch of `examples` and their copies, padded to the longest row.
    pub fn new<'a>(
        examples: impl Iterator<Item = &'a EncodedExample> + Clone,
        padding: u16,
        device: Device,
    ) -> Result<Self> {
        let copies = examples.clone().enumerate();
        let copies: Vec<(usize, &[u16])> =
            copies.flat_map(|(row, it)| it.copies.iter().map(move |ids| (row, ids.as_slice()))).collect();
        Self::with_copies(examples, &copies, padding, device)
    }

    /// Builds a batch of `examples` without their copies, padded to the longest row.
    pub fn without_copies<'a>(
        examples: impl Iterator<Item = &'a EncodedExample> + Clone,
        padding: u16,
        device: Device,
    ) -> Result<Self> {
        Self::with_copies(examples, &[], padding, device)
    }

    fn with_copies<'a>(
        examples: impl Iterator<Item = &'a EncodedExample> + Clone,
        copies: &[(usize, &[u16])],
        padding: u16,
        device: Device,
    ) -> Result<Self> {
        let texts: Vec<&EncodedExample> = examples.collect();
        let rows: Vec<&[u16]> =
            texts.iter().map(|it| it.ids.as_slice()).chain(copies.iter().map(|(_, ids)| *ids)).collect();
        let owners: Vec<usize> = (0..texts.len()).chain(copies.iter().map(|&(row, _)| row)).collect();
        let longest = rows.iter().map(|ids| ids.len()).max().unwrap_or(0);
        let (mut ids, mut present) = (Vec::new(), Vec::new());
        for row in &rows {
            let missing = longest - row.len();
            ids.extend(row.iter().map(|&id| i64::from(id)));
            ids.extend(std::iter::repeat_n(i64::from(padding), missing));
            present.extend(std::iter::repeat_n(true, row.len()));
            present.extend(std::iter::repeat_n(false, missing));
        }
        let of_owners = |value: &dyn Fn(&EncodedExample) -> i64| {
            let values: Vec<i64> = owners.iter().map(|&row| value(texts[row])).collect();
            upload(&Tensor::f_from_slice(&values)?, device)
        };
        let known = texts.iter().find_map(|it| it.known.as_ref()).map(|known| known.len());
        let known = known.map(|labels| {
            let all = owners.iter().flat_map(|&row| match &texts[row].known {
                Some(known) => known.to_vec(),
                None => vec![true; labels],
            });
            Ok::<_, crate::error::Error>(
                Tensor::f_from_slice(&all.collect::<Vec<bool>>())?.f_view([-1, labels as i64])?,
            )
        });
        let taught = texts.iter().find_map(|it| it.taught.as_ref()).map(|taught| taught.len());
        let taught = taught.map(|labels| {
            let all = texts.iter().flat_map(|it| match &it.taught {
                Some(taught) => taught.to_vec(),
                None => vec![f32::NAN; labels],
            });
            Ok::<_, crate::error::Error>(
                Tensor::f_from_slice(&all.collect::<Vec<f32>>())?.f_view([-1, labels as i64])?,
            )
        });
        let on_device = |it: Result<Tensor>| upload(&it?, device);
        let originals: Vec<i64> = copies.iter().map(|&(row, _)| row as i64).collect();
        let shape = [rows.len() as i64, longest as i64];
        let padded = present.contains(&false);
        Ok(Self {
            ids: upload(&Tensor::f_from_slice(&ids)?.f_view(shape)?, device)?,
            present: match padded {
                true => Some(upload(&Tensor::f_from_slice(&present)?.f_view(shape)?, device)?),
                false => None,
            },
            labels: of_owners(&|it| i64::try_from(it.label).unwrap_or(Self::NO_LABEL))?,
            known: known.map(on_device).transpose()?,
            taught: taught.map(on_device).transpose()?,
            originals: match originals.is_empty() {
                true => None,
                false => Some(upload(&Tensor::f_from_slice(&originals)?, device)?),
            },
        })
    }

    /// Returns the number of texts, without copies.
    pub fn texts(&self) -> i64 {
        self.ids.size()[0] - self.originals.as_ref().map_or(0, |it| it.size()[0])
    }

    /// Returns the texts without their copies, as a teacher reads them.
    pub fn of_texts(&self) -> Result<Self> {
        let first = |of: &Tensor| of.f_narrow(0, 0, self.texts());
        Ok(Self {
            ids: first(&self.ids)?,
            present: self.present.as_ref().map(first).transpose()?,
            labels: first(&self.labels)?,
            known: self.known.as_ref().map(first).transpose()?,
            taught: self.taught.as_ref().map(Tensor::shallow_clone),
            originals: None,
        })
    }

    /// Expands `[texts, ..]` to `[rows, ..]`: each copy gets the values of its text.
    pub fn spread(&self, of_texts: &Tensor) -> Result<Tensor> {
        match &self.originals {
            Some(originals) => Ok(Tensor::f_cat(&[of_texts, &of_texts.f_index_select(0, originals)?], 0)?),
            None => Ok(of_texts.shallow_clone()),
        }
    }
}
