"""What Compose's own reading of config/compose.yaml does not see: whether its parts fit each other and our files.

compose.py COMPOSED SECRETS OUT: COMPOSED is what `docker compose config --format json` says, SECRETS a folder with the
secrets as the head of compose.yaml has them made. Names everything that is wrong. Writes the environment of each container
that runs Fenlei to OUT/NAME.env, with the secrets where they are here.
"""

import json
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

composed, secrets, out = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), Path(sys.argv[3])
config = Path("config").resolve()
services = composed["services"]
wrong = []


def holds(what, so):
    if not so:
        wrong.append(what)


def environment(name):
    return services[name].get("environment", {})


def mounted(name):
    """Where the secrets of a service are, in its container."""
    return {secret["target"]: secret["source"] for secret in services[name].get("secrets", [])}


mosquitto = (config / "compose-mosquitto.conf").read_text()
listeners = set(re.findall(r"^listener (\d+)$", mosquitto, re.M))
listening = {
    "mosquitto": listeners,
    "postgres": {"5432"},
    "influxdb": {"8086"},
    "grafana": {"3000"},
    **{name: {environment(name)["FENLEI__HTTP__LISTEN"].rpartition(":")[2]} for name in ("fenlei-1", "fenlei-2")},
}

# Files, folders, volumes.
for name, service in services.items():
    for volume in service.get("volumes", []):
        if volume["type"] == "bind":
            source = Path(volume["source"])
            holds(f"{name}: {source} is not there, or not in config/", source.exists() and config in source.parents)
            holds(f"{name}: {source} can be written by a container", volume.get("read_only"))
for secret, where in composed["secrets"].items():
    holds(f"the secret {secret} is not the file of its name", Path(where["file"]) == config / "secrets" / secret)
    holds(f"the secret {secret} has no reader", any(secret in mounted(name).values() for name in services))
    made = secrets / secret
    holds(f"the secret {secret} is not made, or is empty", made.is_file() and made.read_text().strip())

# Each secret that is named is there, and each that is there is named.
for name, service in services.items():
    texts = [*environment(name).values(), *(service.get("command") or [])]
    named = {text for text in texts if text.startswith("/run/secrets/")}
    if name == "mosquitto":
        named |= set(re.findall(r"/run/secrets/\S+", mosquitto))
    holds(f"{name}: named are {sorted(named)}, there are {sorted(mounted(name))}", named == set(mounted(name)))

# Ports.
for name, service in services.items():
    for port in service.get("ports", []):
        holds(f"{name}: nothing listens on {port['target']}", str(port["target"]) in listening.get(name, ()))
        open_to_all = port.get("host_ip") != "127.0.0.1"
        holds(f"{name}: {port['target']} is open to the network", not open_to_all or (name, port["target"]) == ("mosquitto", 8883))

# Where the containers look for each other.
urls = {"mqtt-url": "mosquitto", "store-url": "postgres"}
found = {(secrets / secret).read_text().strip(): service for secret, service in urls.items()}
found |= {environment(name)["FENLEI__INFLUX__URL"]: "influxdb" for name in ("fenlei-1", "fenlei-2")}
found[environment("grafana")["INFLUX_URL"]] = "influxdb"
for url, service in found.items():
    parts = urlsplit(url)
    holds(f"a URL does not lead to {service}", parts.hostname == service and str(parts.port) in listening[service])
store = urlsplit((secrets / "store-url").read_text().strip())
holds("the user of the database", store.username == environment("postgres")["POSTGRES_USER"])
holds("the name of the database", store.path == "/" + environment("postgres")["POSTGRES_DB"])
for secret, url in (("postgres-password", "store-url"), ("mqtt-password", "mqtt-url")):
    password = urlsplit((secrets / url).read_text().strip()).password
    holds(f"the password in {url}", password == (secrets / secret).read_text().strip())
for key in ("ORG", "BUCKET"):
    values = {environment("influxdb")[f"DOCKER_INFLUXDB_INIT_{key}"], environment("grafana")[f"INFLUX_{key}"]}
    values |= {environment(name)[f"FENLEI__INFLUX__{key}"] for name in ("fenlei-1", "fenlei-2")}
    holds(f"{key} is not the same for all: {values}", len(values) == 1)

# The backends are alike but for their ports, and what they share is one volume.
one, two = ({key: value for key, value in services[name].items() if key not in ("build", "ports")} for name in ("fenlei-1", "fenlei-2"))
holds("the backends differ", one == two and services["fenlei-1"]["ports"] != services["fenlei-2"]["ports"])
key = Path(environment("fenlei-1")["FENLEI__PRIVACY__CARD_KEY_FILE"])
holds("the card key is not in a volume", any(Path(volume["target"]) == key.parent for volume in one["volumes"]))
written, read = (
    next((volume["source"], volume["target"]) for volume in services[name]["volumes"] if volume["source"] == "mosquitto-users")
    for name in ("mosquitto-users", "mosquitto")
)
holds("the users are not written where they are kept", services["mosquitto-users"]["command"][-1] == written[1])
holds("Mosquitto does not read what is written", set(re.findall(r"^(?:password|acl)_file (\S+)/\w+$", mosquitto, re.M)) == {read[1]})

# What Grafana's files ask of its environment.
given = {name.removesuffix("__FILE") for name in environment("grafana")}
for file in (config / "grafana/provisioning").rglob("*.yml"):
    text = "".join(line for line in file.read_text().splitlines(True) if not line.startswith("#"))
    for variable in re.findall(r"\$(\w+)", text):
        holds(f"{file.name}: Grafana has no {variable}", variable in given)

for name in ("fenlei-1", "fenlei-2", "mosquitto-users"):
    lines = [f"{key}={value}".replace("/run/secrets/", f"{secrets}/") for key, value in environment(name).items()]
    (out / f"{name}.env").write_text("\n".join(lines) + "\n")
(out / "mosquitto-users.command").write_text("\n".join(services["mosquitto-users"]["command"]) + "\n")

print("\n".join(wrong))
sys.exit(bool(wrong))
