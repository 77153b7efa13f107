"""Tests `electra serve --mqtt` with a broker and a client of other projects.

    test.py ELECTRA MODEL

`test.sh` beside it installs what is needed.
"""

import collections
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

ELECTRA, MODEL = sys.argv[1:]
SECONDS = 60
TEXTS = [
    "ELECTRA is surprisingly fast and accurate.",
    "A dull, lifeless mess.",
    "",
    "The first line,\nthe second line.\t\u00a0\U0001f600",
]


# All processes that were started. None outlives a failed test.
PROCESSES = []


def spawn(command, **options):
    process = subprocess.Popen(command, **options)
    PROCESSES.append(process)
    return process


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(condition, what):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {SECONDS} s"
        time.sleep(0.02)


class Broker:
    """A mosquitto that keeps its sessions in a file."""

    def __init__(self, folder, settings="allow_anonymous true\n"):
        self.port = free_port()
        self.file = folder / "mosquitto.conf"
        self.file.write_text(
            f"listener {self.port} 127.0.0.1\npersistence true\npersistence_location {folder}/\n"
            f"max_queued_messages 10000\nlog_dest file {folder}/mosquitto.log\n{settings}"
        )
        # As root, mosquitto changes to another user, which must be able to write to the folder.
        folder.chmod(0o777)
        self.start()

    def start(self):
        self.process = spawn(["mosquitto", "-c", self.file])
        wait_for(self.answers, "broker")

    def answers(self):
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Service:
    """`electra serve --mqtt`."""

    def __init__(self, broker, *options, subscribe="in/text", user=""):
        self.command = [ELECTRA, "serve", "--model", MODEL, "--mqtt", f"mqtt://{user}127.0.0.1:{broker.port}"]
        self.command += ["--subscribe", subscribe, "--publish", "out/sentiment", *options]
        self.log = []
        self.start()

    def start(self):
        self.process = spawn(self.command, stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, args=[self.process.stderr], daemon=True).start()

    def read(self, lines):
        for line in lines:
            self.log.append(line)

    def logged(self, part):
        try:
            wait_for(lambda: any(part in line for line in self.log), f"{part!r} in the log")
        except AssertionError:
            print("".join(self.log), file=sys.stderr)
            raise

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(SECONDS) == 0, self.log

    def kill(self):
        self.process.kill()
        self.process.wait()


class Client:
    """A client that sends texts and collects everything that is published."""

    def __init__(self, broker, *topics, user=None):
        self.messages = collections.defaultdict(list)
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "test", protocol=mqtt.MQTTv5)
        if user:
            self.client.username_pw_set(*user)
        self.client.reconnect_delay_set(1, 1)
        self.client.max_queued_messages_set(0)
        self.client.on_message = lambda _client, _data, message: self.messages[message.topic].append(message.payload)
        self.subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        # Messages for this client are kept while it is not connected.
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 600
        self.client.connect("127.0.0.1", broker.port, clean_start=False, properties=session)
        self.client.loop_start()
        for topic in topics:
            self.client.subscribe(topic, qos=1)
        assert self.subscribed.wait(SECONDS)

    def send(self, text, topic="in/text", qos=1):
        return self.client.publish(topic, text, qos=qos)

    def answers(self, count, topic="out/sentiment"):
        wait_for(lambda: len(self.messages[topic]) >= count, f"{count} answers, {len(self.messages[topic])} found")
        return [json.loads(payload) for payload in self.messages[topic]]

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


def classified(text):
    """The answer of `electra classify --json`."""
    command = [ELECTRA, "classify", "--model", MODEL, "--json", "--", text]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_answers(folder):
    broker = Broker(folder)
    service = Service(broker, "--home-assistant", "--mqtt-client-id", "electra on a pi", "--line-bytes", "1000")
    client = Client(broker, "out/#", "homeassistant/#")
    service.logged("connected as electra on a pi")
    for text in TEXTS:
        client.send(text)
    for sent in ["x" * 1001, b"caf\xe9", "x" * 100_000]:
        client.send(sent)
    client.send("The last one, at most once.", qos=0)
    # The broker drops the text of 100,000 bytes, because it is longer than the service accepts.
    answers = client.answers(len(TEXTS) + 3)
    assert sorted(a["text"] for a in answers if "text" in a) == sorted([*TEXTS, "The last one, at most once."])
    for answer in answers:
        if "text" in answer and answer["text"]:
            assert answer == classified(answer["text"]), answer
    errors = {answer["error"]: answer["message"] for answer in answers if "error" in answer}
    assert errors == {
        "line": "more than 1000 bytes found in a line",
        "utf8": "invalid UTF-8 found at byte 3, expected text",
    }, errors

    # The sensor of Home Assistant, and whether the service is online, are kept by the broker.
    [sensor] = client.messages["homeassistant/sensor/electra_on_a_pi/config"]
    sensor = json.loads(sensor)
    assert sensor["state_topic"] == sensor["json_attributes_topic"] == "out/sentiment", sensor
    assert sensor["availability_topic"] == "out/sentiment/status", sensor
    assert sensor["options"] == sorted(entry["label"] for entry in classified(TEXTS[0])["scores"])
    assert sensor["unique_id"] == "electra_on_a_pi" and sensor["device"]["identifiers"] == ["electra_on_a_pi"]
    assert client.messages["out/sentiment/status"] == [b"online"]
    service.kill()
    wait_for(lambda: client.messages["out/sentiment/status"][1:] == [b"offline"], "last will")
    service.start()
    wait_for(lambda: client.messages["out/sentiment/status"][2:] == [b"online"], "online again")
    service.stop()
    wait_for(lambda: client.messages["out/sentiment/status"][3:] == [b"offline"], "farewell")

    # All answers have arrived by now: the text of 100,000 bytes got none, not even an error.
    answers = [json.loads(payload) for payload in client.messages["out/sentiment"]]
    assert len(answers) == len(TEXTS) + 3, answers

    # Texts that arrive in the meantime are answered after the next start.
    before = len(client.messages["out/sentiment"])
    client.send("Sent while nobody was there.")
    service.start()
    assert client.answers(before + 1)[-1]["text"] == "Sent while nobody was there."
    service.stop()
    client.stop()
    broker.stop()


def test_topics_ids_and_retained_answers(folder):
    broker = Broker(folder)
    service = Service(broker, "--json-requests", "--mqtt-retain", subscribe="in/+/text")
    client = Client(broker, "out/sentiment")
    service.logged("connected")
    client.send(json.dumps({"id": 7, "text": TEXTS[0]}), "in/kitchen/text")
    client.send("no JSON", "in/cellar/text")
    client.send(TEXTS[1], "in/text")
    answers = {answer["topic"]: answer for answer in client.answers(2)}
    assert answers["in/kitchen/text"]["id"] == 7
    assert answers["in/cellar/text"]["error"] == "request" and answers["in/cellar/text"]["id"] is None
    client.stop()
    late = Client(broker, "out/#")
    assert len(late.answers(1)) >= 1
    late.stop()
    service.stop()
    broker.stop()


def test_a_text_that_the_broker_keeps_is_answered_once(folder):
    broker = Broker(folder)
    client = Client(broker, "out/sentiment")
    client.client.publish("in/text", TEXTS[0], qos=1, retain=True).wait_for_publish(SECONDS)
    service = Service(broker)
    client.answers(1)
    for _ in range(2):
        service.stop()
        service.start()
        client.send(TEXTS[1])
        client.answers(len(client.messages["out/sentiment"]) + 1)
    answered = [answer["text"] for answer in client.answers(3)]
    assert answered == [TEXTS[0], TEXTS[1], TEXTS[1]], answered
    service.stop()
    client.stop()
    broker.stop()


def test_nothing_is_lost(folder):
    """The broker is restarted and the service is killed while texts arrive."""
    broker = Broker(folder)
    service = Service(broker, "--json-requests")
    client = Client(broker, "out/sentiment")
    service.logged("connected")
    count = 600
    for number in range(count):
        client.send(json.dumps({"id": number, "text": f"Text {number} is surprisingly good. " + "word " * (number % 50)}))
        if number in (100, 300):
            wait_for(lambda: client.messages["out/sentiment"], "first answers")
            broker.stop()
            time.sleep(0.5)
            broker.start()
        if number in (200, 400):
            service.kill()
            service.start()
        time.sleep(0.002)
    ids = lambda: collections.Counter(json.loads(payload).get("id") for payload in client.messages["out/sentiment"])
    wait_for(lambda: len(ids()) == count, f"answers to {count} texts")
    assert set(ids()) == set(range(count))
    assert not any("error" in json.loads(payload) for payload in client.messages["out/sentiment"])
    repeated = sum(ids().values()) - count
    print(f"{count} texts, 2 restarts of the broker, 2 of the service: 0 lost, {repeated} answered twice")
    # Only texts in progress may be answered again.
    assert repeated < 200, repeated
    service.stop()
    client.stop()
    broker.stop()


def test_a_broker_without_memory(folder):
    """The broker forgets all sessions. The service subscribes again and answers what it has."""
    broker = Broker(folder)
    broker.file.write_text(broker.file.read_text().replace("persistence true", "persistence false"))
    service = Service(broker)
    service.logged("connected")
    broker.stop()
    service.logged("trying again")
    broker.start()
    wait_for(lambda: sum("connected" in line for line in service.log) == 2, f"second connection: {service.log}")
    client = Client(broker, "out/#")
    for text in TEXTS:
        client.send(text)
    assert len(client.answers(len(TEXTS))) == len(TEXTS)
    service.stop()
    client.stop()
    broker.stop()


def test_passwords_and_names(folder):
    passwords = folder / "passwords"
    passwords.write_text("")
    subprocess.run(["mosquitto_passwd", "-b", passwords, "maker", "open sesame"], check=True)
    passwords.chmod(0o644)
    secret = folder / "secret"
    secret.write_text("wrong\n")
    broker = Broker(folder, f"allow_anonymous false\npassword_file {passwords}\n")
    service = Service(broker, "--mqtt-password-file", str(secret), user="maker@")
    service.logged("the broker refuses the connection")
    service.stop()
    secret.write_text("open sesame\n")
    service = Service(broker, "--mqtt-password-file", str(secret), user="maker@")
    service.logged("connected")
    client = Client(broker, "out/#", user=("maker", "open sesame"))
    client.send(TEXTS[0])
    assert client.answers(1)[0]["label"] == "POSITIVE"
    # A second service with the same name takes over the session, and the log says what to do.
    other = Service(broker, "--mqtt-password-file", str(secret), user="maker@")
    other.logged("connected")
    service.logged("give each service its own --mqtt-client-id")
    service.kill()
    other.stop()
    assert "open sesame" not in "".join(service.log + other.log)
    client.stop()
    broker.stop()


def test_wrong_options(folder):
    secret = folder / "secret"
    secret.write_text("two\nlines\n")
    topics = ["--subscribe", "in/text", "--publish", "out/sentiment"]
    for options, problem in [
        (["--mqtt", "mqtt://192.0.2.1", *topics], "--allow-remote"),
        (["--mqtt", "mqtt://127.0.0.1", "--subscribe", "in/text"], "--publish"),
        (["--mqtt", "mqtt://127.0.0.1", "--publish", "out"], "--subscribe"),
        (["--mqtt", "mqtt://127.0.0.1", "--subscribe", "#", "--publish", "out"], "includes the topic of the answers"),
        (["--mqtt", "mqtts://127.0.0.1", *topics], "TLS"),
        (["--mqtt", "mqtt://a:b@127.0.0.1", *topics], "--mqtt-password-file"),
        (["--mqtt", "mqtt://127.0.0.1", "--mqtt-password-file", str(secret), *topics], "no user found"),
        (["--mqtt", "mqtt://a@127.0.0.1", "--mqtt-password-file", str(secret), *topics], "several lines"),
        (["--mqtt", "mqtt://127.0.0.1", *topics, "--model", MODEL.replace("sentiment", "rtd")], "expected one for classification"),
        (["--home-assistant"], "--mqtt"),
    ]:
        found = subprocess.run([ELECTRA, "serve", "--model", MODEL, *options] if "--model" not in options else
                               [ELECTRA, "serve", *options], capture_output=True, text=True, timeout=SECONDS)
        assert found.returncode != 0 and problem in found.stderr, (options, found.stderr)


def main():
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            start = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                # mosquitto writes its files as another user.
                os.chmod(folder, 0o755)
                test(pathlib.Path(folder))
            print(f"{name}: ok, {time.monotonic() - start:.1f} s", flush=True)


try:
    main()
finally:
    for process in PROCESSES:
        process.kill()
