//! The texts in progress: what was received, what was answered, what was acknowledged.
//!
//! This module only keeps the books. It knows neither the connection nor the workers.

use std::collections::VecDeque;

use bytes::Bytes;

/// The texts in progress, in the order in which they arrived.
pub(super) struct Deliveries<A> {
    items: VecDeque<Delivery<A>>,
    /// Messages that were handed to the connection and have no packet identifier yet, in order.
    handed: VecDeque<Handed>,
    /// Packet identifiers of messages that are no answers and wait for their acknowledgement.
    notes: Vec<u16>,
    /// Number of the next text.
    next: u64,
    limits: DeliveryLimits,
}

/// Limits for the texts in progress.
#[derive(Clone, Copy)]
pub(super) struct DeliveryLimits {
    pub texts: usize,
    /// Length of all texts together.
    pub bytes: usize,
}

/// A text in progress.
struct Delivery<A> {
    number: u64,
    /// Length of the text.
    bytes: usize,
    /// Where the text comes from, if it must be acknowledged.
    source: Option<Source>,
    state: State<A>,
}

/// The message of a text of quality of service 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Source {
    /// Its packet identifier, which the acknowledgement repeats.
    pub packet: u16,
    /// A checksum of topic and text, which tells whether the broker sends the same message again.
    pub content: u64,
}

enum State<A> {
    /// The answer is not known yet.
    Asked(A),
    /// The broker has not acknowledged the answer.
    Answered { message: Bytes, sent: Sent },
    /// The text can be acknowledged.
    Done {
        /// Whether the acknowledgement was handed to the connection.
        handed: bool,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum Sent {
    No,
    Handed,
    /// With this packet identifier.
    As(u16),
}

#[derive(Clone, Copy, PartialEq)]
enum Handed {
    /// The answer to the text of this number.
    Answer(u64),
    /// A message that is no answer.
    Note,
}

/// Result of [`Deliveries::receive`].
#[derive(Debug, PartialEq)]
pub(super) enum Receipt {
    /// It is a text, which has this number from now on.
    New(u64),
    /// The broker has sent a text again that is in progress.
    Known,
    /// There is no room for it.
    Full,
}

impl<A> Deliveries<A> {
    pub(super) fn new(limits: DeliveryLimits) -> Self {
        Self { items: VecDeque::new(), handed: VecDeque::new(), notes: Vec::new(), next: 0, limits }
    }

    /// Notes that a message of this length has arrived. `source` is set if it must be acknowledged.
    /// `asked` creates the notes that [`Deliveries::asked`] returns until there is an answer.
    pub(super) fn receive(
        &mut self,
        bytes: usize,
        source: Option<Source>,
        asked: impl FnOnce() -> A,
    ) -> Receipt {
        if let Some(source) = &source {
            let same_packet = |item: &&mut Delivery<A>| {
                item.source.as_ref().is_some_and(|known| known.packet == source.packet)
            };
            if let Some(item) = self.items.iter_mut().find(same_packet) {
                if item.source.as_ref() == Some(source) {
                    // It will be acknowledged with this connection.
                    if let State::Done { handed } = &mut item.state {
                        *handed = false;
                    }
                    return Receipt::Known;
                }
                // The broker has forgotten the old text and uses its identifier for a new one.
                item.source = None;
                self.remove_finished();
            }
        }
        let all_bytes: usize = self.items.iter().map(|item| item.bytes).sum();
        let has_room = self.items.len() < self.limits.texts && all_bytes + bytes <= self.limits.bytes;
        if !has_room && !self.items.is_empty() {
            return Receipt::Full;
        }
        let number = self.next;
        self.next += 1;
        self.items.push_back(Delivery { number, bytes, source, state: State::Asked(asked()) });
        Receipt::New(number)
    }

    /// Returns the numbers of the texts without an answer and what was noted about them.
    pub(super) fn asked(&mut self) -> impl Iterator<Item = (u64, &mut A)> {
        self.items.iter_mut().filter_map(|item| match &mut item.state {
            State::Asked(asked) => Some((item.number, asked)),
            _ => None,
        })
    }

    /// Notes the answer to a text and returns what was noted about the text, or `None` if it has an
    /// answer already.
    pub(super) fn answer(&mut self, number: u64, message: Bytes) -> Option<A> {
        let item = self.items.iter_mut().find(|item| item.number == number)?;
        if !matches!(item.state, State::Asked(_)) {
            return None;
        }
        let answered = State::Answered { message, sent: Sent::No };
        match std::mem::replace(&mut item.state, answered) {
            State::Asked(asked) => Some(asked),
            _ => None,
        }
    }

    /// Returns the first answer that was not handed to the connection.
    pub(super) fn unsent(&self) -> Option<(u64, Bytes)> {
        self.items.iter().find_map(|item| match &item.state {
            State::Answered { message, sent: Sent::No } => Some((item.number, message.clone())),
            _ => None,
        })
    }

    /// Notes that the answer of this number was handed to the connection.
    pub(super) fn hand_answer(&mut self, number: u64) {
        for item in &mut self.items {
            if let State::Answered { sent, .. } = &mut item.state
                && item.number == number
            {
                *sent = Sent::Handed;
            }
        }
        self.handed.push_back(Handed::Answer(number));
    }

    /// Notes that a message of quality of service 1 that is no answer was handed to the connection.
    pub(super) fn hand_note(&mut self) {
        self.handed.push_back(Handed::Note);
    }

    /// Notes that a message was sent with this packet identifier.
    pub(super) fn sent(&mut self, packet: u16) {
        let is_repeated = self.notes.contains(&packet) || self.answer_with(packet).is_some();
        if is_repeated {
            return;
        }
        match self.handed.pop_front() {
            Some(Handed::Note) => self.notes.push(packet),
            Some(Handed::Answer(number)) => {
                for item in &mut self.items {
                    if let State::Answered { sent, .. } = &mut item.state
                        && item.number == number
                    {
                        *sent = Sent::As(packet);
                    }
                }
            }
            None => {}
        }
    }

    /// Notes that the broker has acknowledged the message with this packet identifier.
    pub(super) fn acknowledged(&mut self, packet: u16) {
        self.notes.retain(|note| *note != packet);
        if let Some(item) = self.answer_with(packet) {
            item.state = State::Done { handed: false };
            self.remove_finished();
        }
    }

    fn answer_with(&mut self, packet: u16) -> Option<&mut Delivery<A>> {
        self.items.iter_mut().find(
            |item| matches!(item.state, State::Answered { sent: Sent::As(known), .. } if known == packet),
        )
    }

    /// Returns the packet identifier of the next text to acknowledge. MQTT asks for the order in
    /// which the texts arrived (MQTT 5.0, section 4.6).
    pub(super) fn unacknowledged(&self) -> Option<u16> {
        let of_broker =
            self.items.iter().filter_map(|item| Some((item.source.as_ref()?.packet, &item.state)));
        let (packet, state) =
            of_broker.into_iter().find(|(_, state)| !matches!(state, State::Done { handed: true }))?;
        matches!(state, State::Done { handed: false }).then_some(packet)
    }

    /// Notes that the acknowledgement of a text was handed to the connection.
    pub(super) fn hand_acknowledgement(&mut self, packet: u16) {
        if let Some(item) = self.text_with(packet)
            && let State::Done { handed } = &mut item.state
        {
            *handed = true;
        }
    }

    /// Notes that the acknowledgement of a text was sent.
    pub(super) fn acknowledgement_sent(&mut self, packet: u16) {
        if let Some(item) = self.text_with(packet)
            && matches!(item.state, State::Done { .. })
        {
            item.source = None;
            self.remove_finished();
        }
    }

    fn text_with(&mut self, packet: u16) -> Option<&mut Delivery<A>> {
        self.items.iter_mut().find(|item| item.source.as_ref().is_some_and(|source| source.packet == packet))
    }

    /// Notes that there is a new connection. If the broker still knows the session, it sends the
    /// texts again that were not acknowledged, and the connection sends the answers again.
    /// Otherwise the broker has forgotten the texts, and the answers must be handed over again.
    pub(super) fn connect(&mut self, session_present: bool) {
        if session_present {
            return;
        }
        self.handed.clear();
        self.notes.clear();
        for item in &mut self.items {
            item.source = None;
            if let State::Answered { sent, .. } = &mut item.state {
                *sent = Sent::No;
            }
        }
        self.remove_finished();
    }

    fn remove_finished(&mut self) {
        self.items.retain(|item| item.source.is_some() || !matches!(item.state, State::Done { .. }));
    }

    /// Returns whether all texts are answered and acknowledged, and all messages are acknowledged.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.handed.is_empty() && self.notes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(packet: u16, text: &str) -> Option<Source> {
        Some(Source { packet, content: text.bytes().map(u64::from).sum() })
    }

    fn deliveries(texts: usize) -> Deliveries<()> {
        Deliveries::new(DeliveryLimits { texts, bytes: 100 })
    }

    /// Answers a text and hands the answer over. It is sent with this packet identifier.
    fn send(deliveries: &mut Deliveries<()>, number: u64, packet: u16) {
        assert_eq!(deliveries.answer(number, Bytes::from_static(b"answer")), Some(()));
        let (unsent, _) = deliveries.unsent().expect("an answer");
        deliveries.hand_answer(unsent);
        deliveries.sent(packet);
    }

    #[test]
    fn a_text_is_acknowledged_after_its_answer() {
        let mut deliveries = deliveries(4);
        assert_eq!(deliveries.receive(1, source(7, "a"), || ()), Receipt::New(0));
        send(&mut deliveries, 0, 1);
        assert_eq!((deliveries.unsent(), deliveries.unacknowledged()), (None, None));
        deliveries.acknowledged(1);
        assert_eq!(deliveries.unacknowledged(), Some(7));
        deliveries.hand_acknowledgement(7);
        assert_eq!(deliveries.unacknowledged(), None);
        assert!(!deliveries.is_empty());
        deliveries.acknowledgement_sent(7);
        assert!(deliveries.is_empty());
        // A late answer of a worker is ignored.
        assert_eq!(deliveries.answer(0, Bytes::new()), None);
    }

    #[test]
    fn texts_are_acknowledged_in_the_order_of_their_arrival() {
        let mut deliveries = deliveries(4);
        for packet in [5, 6, 7] {
            deliveries.receive(1, source(packet, "a"), || ());
        }
        deliveries.receive(1, None, || ());
        for (number, packet) in [(1, 1), (3, 2), (2, 3), (0, 4)] {
            send(&mut deliveries, number, packet);
        }
        for packet in [1, 2, 3] {
            deliveries.acknowledged(packet);
            assert_eq!(deliveries.unacknowledged(), None);
        }
        deliveries.acknowledged(4);
        for packet in [5, 6, 7] {
            assert_eq!(deliveries.unacknowledged(), Some(packet));
            deliveries.hand_acknowledgement(packet);
        }
        [5, 6, 7].into_iter().for_each(|packet| deliveries.acknowledgement_sent(packet));
        assert!(deliveries.is_empty());
    }

    #[test]
    fn a_resumed_session_acknowledges_again_and_answers_once() {
        let mut deliveries = deliveries(4);
        deliveries.receive(1, source(5, "a"), || ());
        deliveries.receive(1, source(6, "b"), || ());
        send(&mut deliveries, 0, 1);
        deliveries.acknowledged(1);
        deliveries.hand_acknowledgement(5);
        // The acknowledgement was lost with the connection.
        deliveries.connect(true);
        assert_eq!(deliveries.receive(1, source(5, "a"), || ()), Receipt::Known);
        assert_eq!(deliveries.receive(1, source(6, "b"), || ()), Receipt::Known);
        assert_eq!(deliveries.unacknowledged(), Some(5));
        // The connection sends an answer again by itself.
        send(&mut deliveries, 1, 2);
        deliveries.connect(true);
        deliveries.sent(2);
        deliveries.acknowledged(2);
        assert_eq!(deliveries.unsent(), None);
    }

    #[test]
    fn a_lost_session_sends_the_answers_again() {
        let mut deliveries = deliveries(4);
        deliveries.receive(1, source(5, "a"), || ());
        deliveries.receive(1, source(6, "b"), || ());
        deliveries.receive(1, source(7, "c"), || ());
        deliveries.hand_note();
        deliveries.sent(9);
        send(&mut deliveries, 0, 1);
        deliveries.acknowledged(1);
        send(&mut deliveries, 1, 2);
        deliveries.connect(false);
        // The first one was answered, the second is sent again, the third has no answer yet.
        assert_eq!(deliveries.unsent().map(|(number, _)| number), Some(1));
        assert_eq!(deliveries.unacknowledged(), None);
        deliveries.hand_answer(1);
        deliveries.sent(1);
        deliveries.acknowledged(1);
        send(&mut deliveries, 2, 2);
        deliveries.acknowledged(2);
        assert!(deliveries.is_empty());
    }

    #[test]
    fn a_packet_identifier_may_return_with_another_text() {
        let mut deliveries = deliveries(4);
        deliveries.receive(1, source(5, "a"), || ());
        send(&mut deliveries, 0, 1);
        deliveries.connect(true);
        assert_eq!(deliveries.receive(1, source(5, "b"), || ()), Receipt::New(1));
        deliveries.acknowledged(1);
        assert_eq!(deliveries.unacknowledged(), None);
        send(&mut deliveries, 1, 2);
        deliveries.acknowledged(2);
        assert_eq!(deliveries.unacknowledged(), Some(5));
    }

    #[test]
    fn texts_are_bounded_by_number_and_length() {
        let mut deliveries = deliveries(4);
        let receipts: Vec<_> = (0..5).map(|_| deliveries.receive(1, None, || ())).collect();
        assert_eq!(receipts.last(), Some(&Receipt::Full));
        send(&mut deliveries, 1, 1);
        deliveries.acknowledged(1);
        assert_eq!(deliveries.receive(98, None, || ()), Receipt::Full);
        assert_eq!(deliveries.receive(97, None, || ()), Receipt::New(4));
        // A text that is longer than the limit is accepted alone.
        let mut deliveries = Deliveries::new(DeliveryLimits { texts: 4, bytes: 100 });
        assert_eq!(deliveries.receive(101, None, || ()), Receipt::New(0));
        assert_eq!(deliveries.receive(0, None, || ()), Receipt::Full);
    }
}
