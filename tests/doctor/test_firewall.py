"""What packet filters do to requests."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pybootd.doctor.firewall import Outcome, from_iptables, from_nft, outcome

DISCOVER = {
    "protocol": "udp", "dport": "67", "iif": "eth0", "saddr": "0.0.0.0", "daddr": "255.255.255.255", "state": "new",
    "kind": "broadcast",
}  # fmt: skip
TFTP = {**DISCOVER, "dport": "69", "saddr": "10.0.0.100", "daddr": "10.0.0.1", "kind": "local"}
HTTP = {**TFTP, "protocol": "tcp", "dport": "80"}
DROP: Any = {"drop": None}
ACCEPT: Any = {"accept": None}


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    """One condition, as nft writes it."""
    return {"match": {"op": op, "left": left, "right": right}}


def port(number: Any, protocol: str = "udp", op: str = "==") -> dict[str, Any]:
    """C{udp dport NUMBER}."""
    return match({"payload": {"protocol": protocol, "field": "dport"}}, number, op)


def meta(key: str, value: Any, op: str = "==") -> dict[str, Any]:
    """C{meta KEY VALUE}."""
    return match({"meta": {"key": key}}, value, op)


STATE = {"ct": {"key": "state"}}


def ruleset(*rules: Any, policy: str = "accept", others: dict[str, Any] | None = None, hook: str = "input") -> str:
    """C{nft -j list ruleset} of one chain, and C{others} that it may call."""
    table = {"family": "inet", "table": "filter"}
    entries: list[Any] = [{"metainfo": {}}, {"table": {"family": "inet", "name": "filter"}}]
    entries.append({"chain": {**table, "name": "input", "type": "filter", "hook": hook, "policy": policy}})
    entries += [{"chain": {**table, "name": name}} for name in others or ()]
    chains = {"input": rules, **(others or {})}
    for name, bodies in chains.items():
        entries += [
            {"rule": {**table, "chain": name, "handle": 5 + index, "expr": body}} for index, body in enumerate(bodies)
        ]
    return json.dumps({"nftables": entries})


class NftTests(SynchronousTestCase):
    """C{nft -j list ruleset}."""

    def become(self, text: str, packet: dict[str, str] = DISCOVER) -> str:
        """C{passes}, C{dropped} or C{perhaps}."""
        found = outcome(from_nft(text), packet)
        return "passes" if not found.dropped else "dropped" if found.certain else "perhaps"

    def test_empty(self) -> None:
        """Without rules everything passes."""
        self.assertEqual(self.become('{"nftables": []}'), "passes")
        self.assertEqual(self.become(ruleset()), "passes")

    def test_policy(self) -> None:
        """A policy of drop, and how to find it."""
        self.assertEqual(
            outcome(from_nft(ruleset(policy="drop")), DISCOVER),
            Outcome(True, True, "the policy of nft chain inet filter input"),
        )

    def test_rule(self) -> None:
        """A rule that drops is named; other packets pass it."""
        text = ruleset([meta("l4proto", "udp"), ACCEPT], [port(67), DROP])
        self.assertEqual(self.become(text), "passes", "the first rule took it")
        text = ruleset([port(69), DROP], [port(67), {"counter": {}}, {"reject": None}])
        self.assertEqual(
            outcome(from_nft(text), DISCOVER), Outcome(True, True, "rule 6 of nft chain inet filter input")
        )
        self.assertEqual(self.become(text, TFTP), "dropped")
        self.assertEqual(self.become(text, HTTP), "passes")

    def test_values(self) -> None:
        """Sets, ranges, prefixes, names of services and of interfaces, negations."""
        for condition, packet, dropped in (
            (port({"set": [53, 67]}), DISCOVER, True),
            (port({"set": [53, {"range": [60, 70]}]}), DISCOVER, True),
            (port({"range": [68, 70]}), DISCOVER, False),
            (port("bootps"), DISCOVER, True),
            (port(67, op="!="), DISCOVER, False),
            (port(80, "tcp"), HTTP, True),
            (port(80, "tcp"), {**TFTP, "dport": "80"}, False),
            (meta("iifname", "eth0"), DISCOVER, True),
            (meta("iifname", "eth*"), DISCOVER, True),
            (meta("iifname", "br0"), DISCOVER, False),
            (meta("iifname", "lo", "!="), DISCOVER, True),
            (
                match({"payload": {"protocol": "ip", "field": "saddr"}}, {"prefix": {"addr": "10.0.0.0", "len": 8}}),
                TFTP,
                True,
            ),
            (match({"payload": {"protocol": "ip", "field": "saddr"}}, "10.0.0.7"), TFTP, False),
            (match(STATE, ["new", "untracked"], "in"), DISCOVER, True),
            (match(STATE, "established", "in"), DISCOVER, False),
        ):
            expected = "dropped" if dropped else "passes"
            self.assertEqual(self.become(ruleset([condition, DROP]), packet), expected, condition)

    def test_kind(self) -> None:
        """To everybody, or to this host alone."""
        text = ruleset([match({"fib": {"result": "type", "flags": ["daddr"]}}, "broadcast"), DROP])
        self.assertEqual((self.become(text), self.become(text, TFTP)), ("dropped", "passes"))

    def test_of_iptables(self) -> None:
        """What iptables wrote and nft cannot say: a condition is a perhaps, REJECT is none, LOG does nothing."""
        reject, log = ({"xt": {"type": "target", "name": name}} for name in ("REJECT", "LOG"))
        multiport = {"xt": {"type": "match", "name": "multiport"}}
        self.assertEqual(self.become(ruleset([reject])), "dropped")
        self.assertEqual(self.become(ruleset([log])), "passes")
        self.assertEqual(self.become(ruleset([multiport, DROP])), "perhaps")

    def test_not_understood(self) -> None:
        """What depends on something else is a possibility only."""
        limit = {"limit": {"rate": 1, "per": "second"}}
        self.assertEqual(self.become(ruleset([limit, DROP])), "perhaps")
        self.assertEqual(self.become(ruleset([limit, ACCEPT], policy="drop")), "perhaps")
        self.assertEqual(self.become(ruleset([limit, ACCEPT], [port(67), DROP])), "perhaps")
        self.assertEqual(self.become(ruleset([limit, DROP], [port(67), ACCEPT])), "perhaps")
        self.assertEqual(self.become(ruleset([port("@allowed"), ACCEPT], policy="drop")), "perhaps")
        self.assertEqual(self.become(ruleset([port(99), limit, DROP])), "passes")

    def test_chains(self) -> None:
        """Jump, goto and return, and chains that call themselves."""
        others = {"own": [[port(69), {"return": None}], [port({"set": [67, 69]}), DROP]]}
        jump = [{"jump": {"target": "own"}}]
        self.assertEqual(self.become(ruleset(jump, others=others)), "dropped")
        self.assertEqual(self.become(ruleset(jump, others=others), TFTP), "passes")
        self.assertEqual(self.become(ruleset(jump, [port(69), DROP], others=others), TFTP), "dropped")
        goto = [{"goto": {"target": "own"}}]
        self.assertEqual(self.become(ruleset(goto, [port(69), DROP], others=others), TFTP), "passes")
        self.assertEqual(self.become(ruleset(jump, others={"own": [jump]})), "passes")

    def test_verdict_map(self) -> None:
        """C{ct state vmap} and the like."""
        data = {"set": [["established", ACCEPT], ["new", {"jump": {"target": "own"}}], ["invalid", DROP]]}
        text = ruleset([{"vmap": {"key": STATE, "data": data}}], others={"own": [[port(67), DROP]]})
        self.assertEqual((self.become(text), self.become(text, TFTP)), ("dropped", "passes"))
        self.assertEqual(self.become(ruleset([{"vmap": {"key": STATE, "data": "@named"}}])), "perhaps")

    def test_other_hooks(self) -> None:
        """What is forwarded or sent is another matter; what comes before routing is not."""
        self.assertEqual(self.become(ruleset(policy="drop", hook="forward")), "passes")
        self.assertEqual(self.become(ruleset(policy="drop", hook="prerouting")), "dropped")

    def test_nonsense(self) -> None:
        """What is no ruleset is refused."""
        self.assertRaises(ValueError, from_nft, "nft: command not found")


SAVED = """# Generated by iptables-save
*nat
:PREROUTING ACCEPT [0:0]
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:ufw-input - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -j ufw-input
-A INPUT -p udp -m limit --limit 3/min -j LOG
-A ufw-input -p udp -m udp --dport 67 -m comment --comment "DHCP server" -j ACCEPT
-A ufw-input -s 10.0.0.0/8 -p udp -m multiport --dports 69,4011:4012 -j ACCEPT
-A ufw-input ! -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT
-A ufw-input -p tcp -m owner --uid-owner 0 -m tcp --dport 443 -j ACCEPT
-A ufw-input -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 8080 -j ACCEPT
COMMIT
"""


class IptablesTests(SynchronousTestCase):
    """C{iptables-save}."""

    def test_walk(self) -> None:
        """Protocol, port, interface, address, state, chains of its own; modules that are not known are a perhaps."""
        chains = from_iptables(SAVED)
        policy = "the policy of iptables chain INPUT"
        self.assertFalse(outcome(chains, DISCOVER).dropped)
        self.assertFalse(outcome(chains, TFTP).dropped)
        self.assertFalse(outcome(chains, {**TFTP, "dport": "4012"}).dropped)
        self.assertEqual(outcome(chains, {**TFTP, "saddr": "192.168.0.1"}), Outcome(True, True, policy))
        self.assertEqual(outcome(chains, HTTP), Outcome(True, True, policy))
        self.assertFalse(outcome(chains, {**HTTP, "iif": "eth1"}).dropped)
        self.assertEqual(outcome(chains, {**HTTP, "dport": "443"}), Outcome(True, False, policy))
        self.assertFalse(outcome(chains, {**HTTP, "dport": "8080"}).dropped)

    def test_rule(self) -> None:
        """The rule that drops is told as it stands."""
        line = "-A INPUT -p udp -m udp --dport 67 -j REJECT --reject-with icmp-port-unreachable"
        found = outcome(from_iptables(f"*filter\n:INPUT ACCEPT [0:0]\n{line}\nCOMMIT\n"), DISCOVER)
        self.assertEqual(found, Outcome(True, True, f"iptables {line}"))
