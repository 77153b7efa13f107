//! Options of the MQTT door of `electra serve`.

use std::path::PathBuf;

use clap::Args;

use super::parse::{Broker, parse_broker, parse_filter, parse_topic};

/// Options of the MQTT door.
#[derive(Args)]
pub(crate) struct MqttArgs {
    /// MQTT broker, for example mqtt://127.0.0.1:1883 or mqtt://user@127.0.0.1; a broker on another
    /// machine needs --allow-remote
    #[arg(long, value_name = "URL", value_parser = parse_broker, requires = "subscribe", requires = "publish")]
    pub mqtt: Option<Broker>,
    /// Topic of the texts to classify; may contain the wildcards + and #
    #[arg(long, value_name = "TOPIC", value_parser = parse_filter, requires = "mqtt")]
    pub subscribe: Option<String>,
    /// Topic of the answers, which are JSON objects. TOPIC/status says whether the service is
    /// online
    #[arg(long, value_name = "TOPIC", value_parser = parse_topic, requires = "mqtt")]
    pub publish: Option<String>,
    /// Let the broker keep the last answer for clients that subscribe later
    #[arg(long, requires = "mqtt")]
    pub mqtt_retain: bool,
    /// Name under which the broker knows this service. Two services need different names [default:
    /// electra- and the name of this machine]
    #[arg(long, value_name = "NAME", requires = "mqtt")]
    pub mqtt_client_id: Option<String>,
    /// File with the password of the broker
    #[arg(long, value_name = "FILE", requires = "mqtt")]
    pub mqtt_password_file: Option<PathBuf>,
    /// Announce a sensor to Home Assistant. PREFIX is its prefix for MQTT discovery [default:
    /// homeassistant]
    #[arg(
        long,
        value_name = "PREFIX",
        value_parser = parse_topic,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "homeassistant",
        hide_default_value = true,
        requires = "mqtt"
    )]
    pub home_assistant: Option<String>,
}
