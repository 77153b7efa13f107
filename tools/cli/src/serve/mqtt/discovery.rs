//! The message that announces a sensor to Home Assistant
//! (<https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>).

use serde_json::json;

use super::Context;
use super::broker::{OFFLINE, ONLINE};

/// Returns the topic and the message, or `None` if no sensor is announced.
pub(super) fn message(context: &Context) -> Option<(String, String)> {
    let settings = &context.options;
    let prefix = settings.home_assistant.as_ref()?;
    let loaded = context.service.pool.loaded();
    // Home Assistant accepts these characters only.
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let id: String = settings.client_id.chars().map(|c| if is_valid(c) { c } else { '_' }).collect();
    let mut labels: Vec<&str> = loaded.labels.iter().map(AsRef::as_ref).collect();
    labels.extend(loaded.unsure.then_some(electra::UNSURE));
    let message = json!({
        "name": "Label",
        "unique_id": id,
        "device_class": "enum",
        "options": labels,
        "state_topic": settings.publish,
        // The state is unknown after an error, for which the word None stands.
        "value_template": "{{ value_json.label | default('None') }}",
        "json_attributes_topic": settings.publish,
        "availability_topic": context.status_topic(),
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "icon": "mdi:message-text",
        "device": {
            "identifiers": [id],
            "name": settings.client_id,
            "model": loaded.name(),
            "sw_version": env!("CARGO_PKG_VERSION"),
        },
        "origin": { "name": "electra", "sw_version": env!("CARGO_PKG_VERSION") },
    });
    Some((format!("{prefix}/sensor/{id}/config"), message.to_string()))
}
