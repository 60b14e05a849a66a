"""What Paho makes of a gateway, for interoperability.test.ts: port, transport, level, user name, password, topic."""

import json
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT, TRANSPORT, LEVEL = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
USER, PASSWORD, TOPIC = sys.argv[4:7]
TIMEOUT_S = 20


class Device:
    """A client with what it has received, and ways to wait for its answers."""

    def __init__(self, name, clean=True, will=None):
        self.received = []
        self.changed = threading.Condition()
        self.answers = set()
        # Since 2.0 the callbacks of before have to be asked for.
        version = [mqtt.CallbackAPIVersion.VERSION1] if hasattr(mqtt, "CallbackAPIVersion") else []
        options = {} if LEVEL == 5 else {"clean_session": clean}
        self.client = mqtt.Client(*version, name, protocol=LEVEL, transport=TRANSPORT, **options)
        self.client.username_pw_set(USER, PASSWORD)
        if TRANSPORT == "websockets":
            self.client.ws_set_options(path="/mqtt")
        if will is not None:
            self.client.will_set(TOPIC, will, qos=1)
        self.client.on_connect = lambda *args: self.note("connected")
        self.client.on_disconnect = lambda *args: self.note("disconnected")
        self.client.on_subscribe = lambda *args: self.note("subscribed")
        self.client.on_message = lambda client, data, message: self.take(message)
        if LEVEL == 5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if clean else 60
            self.client.connect("127.0.0.1", PORT, clean_start=clean, properties=properties)
        else:
            self.client.connect("127.0.0.1", PORT)
        self.client.loop_start()
        self.wait(lambda: "connected" in self.answers)

    def note(self, answer):
        with self.changed:
            self.answers.add(answer)
            self.changed.notify_all()

    def take(self, message):
        with self.changed:
            self.received.append(f"{message.payload.decode()} {message.qos} {bool(message.retain)}")
            self.changed.notify_all()

    def wait(self, condition):
        with self.changed:
            if not self.changed.wait_for(condition, TIMEOUT_S):
                sys.exit(f"gave up waiting, with {self.answers} and {self.received}")

    def subscribe(self):
        self.client.subscribe(TOPIC, 2)
        self.wait(lambda: "subscribed" in self.answers)

    def publish(self, payload, qos, retain=False):
        self.client.publish(TOPIC, payload, qos, retain).wait_for_publish()

    def messages(self, count):
        self.wait(lambda: len(self.received) >= count)
        return self.received

    def leave(self):
        self.client.disconnect()
        self.wait(lambda: "disconnected" in self.answers)
        self.client.loop_stop()

    def vanish(self):
        self.client.loop_stop()
        self.client.socket().close()


found = {}

both = Device("both")
both.subscribe()
for qos, payload in enumerate(["zero", "one", "two"]):
    both.publish(payload, qos)
found["every qos"] = both.messages(3)
both.leave()

publisher = Device("publisher")
sleeper = Device("sleeper", clean=False)
sleeper.subscribe()
sleeper.leave()
publisher.publish("meanwhile", 1)
sleeper = Device("sleeper", clean=False)
found["resumed"] = list(sleeper.messages(1))
sleeper.leave()

publisher.publish("kept", 1, retain=True)
late = Device("late")
late.subscribe()
found["retained"] = list(late.messages(1))
late.received.clear()
Device("leaver", will="gone").vanish()
found["will"] = late.messages(1)
late.leave()
publisher.leave()

print(json.dumps(found))
