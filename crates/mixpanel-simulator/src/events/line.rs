//! Writes events as JSON lines, in the format of the export endpoint.

use super::kind::Kind;
use super::people::People;
use super::session::{Identity, Sending, Session, Step, processing_ms};
use super::written_time::WrittenTime;
use crate::hash::{Sequence, mix2};
use crate::profiles::{DEVICES, push, push_hex, push_hundredths, push_number};

/// The items of the shop: name, category and price in hundredths.
static ITEMS: [(&str, &str, u64); 12] = [
    ("Desk lamp", "lighting", 3_990),
    ("Notebook A5", "paper", 650),
    ("Café au lait bowl", "kitchen", 1_290),
    ("Headphones \\\"Óbuda\\\"", "audio", 12_900),
    ("USB-C cable", "audio", 1_150),
    ("Rucksack 20 l", "bags", 7_900),
    ("急須 Teekanne", "kitchen", 5_480),
    ("Gift card", "gifts", 2_500),
    ("Running socks", "sport", 1_499),
    ("Yoga mat", "sport", 3_495),
    ("Poster \\\"Nîmes\\\" 50×70", "gifts", 1_800),
    ("Desk chair", "furniture", 24_900),
];

static QUERIES: [&str; 8] = ["lamp", "notebook a5", "teapot 🫖", "größe 42", "usb c", "socks", "gift", "desk\\/chair"];
static CURRENCIES: [&str; 4] = ["EUR", "USD", "GBP", "BRL"];
static SOURCES: [&str; 5] = ["direct", "push", "email", "search", "ads"];

/// Writes the rows of one session after another.
#[derive(Debug)]
pub(super) struct LineWriter<'a> {
    people: &'a People,
    time: WrittenTime,
    /// The members that all rows of the session have, for each identity; written when first needed.
    shared: [Vec<u8>; 3],
}

impl<'a> LineWriter<'a> {
    pub(super) fn new(people: &'a People, time: WrittenTime) -> Self {
        Self { people, time, shared: Default::default() }
    }

    /// Prepares for the rows of a session.
    pub(super) fn begin(&mut self) {
        self.shared.iter_mut().for_each(Vec::clear);
    }

    /// Writes a row of the session, with a newline.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, session: &Session, number: usize) {
        let step = &session.steps[number];
        let identity = session.identity_of(step);
        if self.shared[identity as usize].is_empty() {
            self.push_shared(session, identity);
        }
        push(out, step.kind.start());
        push_number(out, if self.time == WrittenTime::Seconds { step.time / 1_000 } else { step.time });
        out.extend_from_slice(&self.shared[identity as usize]);
        if session.has_insert_ids {
            push(out, "\",\"$insert_id\":\"");
            push_hex(out, mix2(session.hash, step.hash), 16);
        }
        self.push_details(out, session, step);
        if session.sending == Sending::AgainChanged {
            push(out, ",\"attempt\":2");
        }
        push(out, ",\"$mp_api_timestamp_ms\":");
        push_number(out, step.received);
        push(out, ",\"$mp_event_size\":");
        push_number(out, 180 + (step.hash >> 40) % 300);
        push(out, ",\"mp_processing_time_ms\":");
        push_number(out, step.received + processing_ms(step.hash));
        push(out, "}}\n");
    }

    /// Writes the members that all rows of a session have, up to the end of the value of `session_id` without its
    /// quote.
    fn push_shared(&mut self, session: &Session, identity: Identity) {
        let (people, index) = (self.people, session.index);
        let device = session.device();
        let out = &mut self.shared[identity as usize];
        push(out, ",\"distinct_id\":\"");
        match identity {
            Identity::User | Identity::Resolved => people.push_id(out, index),
            Identity::Device => people.push_anonymous_id(out, index, device),
        }
        push(out, "\",\"$device_id\":\"");
        people.push_device(out, index, device);
        if identity != Identity::Device && !people.is_anonymous(index) {
            push(out, "\",\"$user_id\":\"");
            people.push_id(out, index);
        }
        if identity == Identity::Resolved {
            push(out, "\",\"$distinct_id_before_identity\":\"");
            people.push_anonymous_id(out, index, device);
        }
        let (country, city) = people.home(index);
        let (_, _, os) = Sequence::new(device, 0).pick(&DEVICES);
        push(out, "\",\"$city\":\"");
        push(out, city);
        push(out, "\",\"mp_country_code\":\"");
        push(out, country);
        push(out, "\",\"$os\":\"");
        push(out, os);
        push(out, if session.has_insert_ids { "\",\"mp_lib\":\"web" } else { "\",\"mp_lib\":\"python" });
        push(out, "\",\"plan\":\"");
        push(out, people.life(index).plan.name);
        push(out, "\",\"session_id\":\"");
        push_hex(out, session.hash, 8);
    }

    /// Writes the members that only rows of this kind have, after closing the string before them.
    fn push_details(&self, out: &mut Vec<u8>, session: &Session, step: &Step) {
        let mut random = Sequence::new(step.hash, 2);
        push(out, "\"");
        match step.kind {
            Kind::AppOpen => {
                push(out, ",\"source\":\"");
                push(out, random.pick(&SOURCES));
                push(out, "\",\"app_version\":\"4.");
                push_number(out, random.below(12));
                push(out, "\"");
            }
            Kind::Search => {
                push(out, ",\"query\":\"");
                push(out, random.pick(&QUERIES));
                push(out, "\",\"results\":");
                push_number(out, random.below(40));
            }
            Kind::ViewItem => push_item(out, &mut random),
            Kind::AddToCart => {
                push_item(out, &mut random);
                push(out, ",\"quantity\":");
                push_number(out, 1 + random.below(3));
            }
            Kind::BeginCheckout => {
                push(out, ",\"amount\":");
                push_hundredths(out, 600 + random.below(40_000));
                push(out, ",\"express\":");
                push(out, if step.hash & 1 == 0 { "true" } else { "false" });
            }
            Kind::Purchase => push_purchase(out, &mut random),
            Kind::SignUp => {
                push(out, ",\"method\":\"");
                push(out, random.pick(&["email", "google", "apple", "sso"]));
                push(out, "\",\"utm_source\":");
                push(out, random.pick(&["\"newsletter\"", "\"google\"", "null", "\"partner\""]));
            }
            Kind::Identify => {
                push(out, ",\"$identified_id\":\"");
                self.people.push_id(out, session.index);
                push(out, "\",\"$anon_id\":\"");
                self.people.push_device(out, session.index, session.device());
                push(out, "\"");
            }
            Kind::SizeChanged => {
                push(out, ",\"größe\":\"");
                push(out, random.pick(&["S", "M", "L", "XL"]));
                push(out, "\",\"breite\":");
                push_number(out, random.below(200));
            }
        }
    }
}

fn push_item(out: &mut Vec<u8>, random: &mut Sequence) {
    let (name, category, price) = random.pick(&ITEMS);
    push(out, ",\"item\":\"");
    push(out, name);
    push(out, "\",\"category\":\"");
    push(out, category);
    push(out, "\",\"price\":");
    push_hundredths(out, price);
}

fn push_purchase(out: &mut Vec<u8>, random: &mut Sequence) {
    /// No order number fits into the 53-bit mantissa of a float.
    const FIRST_ORDER: u64 = (1 << 53) + 1;
    let mut total = 0;
    push(out, ",\"order\":");
    push_number(out, FIRST_ORDER + random.below(1 << 40));
    push(out, ",\"items\":[");
    for number in 0..=random.below(3) {
        let (name, _, price) = random.pick(&ITEMS);
        push(out, if number == 0 { "{\"item\":\"" } else { ",{\"item\":\"" });
        push(out, name);
        push(out, "\",\"price\":");
        push_hundredths(out, price);
        push(out, "}");
        total += price;
    }
    push(out, "],\"amount\":");
    push_hundredths(out, total);
    push(out, ",\"currency\":\"");
    push(out, random.pick(&CURRENCIES));
    push(out, "\",\"coupon\":");
    push(out, if random.below(5) == 0 { "\"SPRING\"" } else { "null" });
}
