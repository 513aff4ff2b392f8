"""
What a packet filter does to requests: rules as values, walked for one packet.

Rules come from C{nft -j list ruleset} or C{iptables-save}.  A condition that is not understood counts as "perhaps": the
verdict behind it is told as a possibility, never as a fact.

Pure: text in, verdicts out.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from attrs import frozen

DEPTH = 16
"""Chains that call each other; the kernel's own limit for nftables."""

INPUT_HOOKS = ("prerouting", "input")
FAMILIES = ("ip", "inet")

Packet = Mapping[str, str]
"""
C{protocol}, C{dport}, C{iif}, C{saddr}, C{daddr}, C{state}, C{kind} (C{broadcast} or C{local}): a request as the filter
sees it.
"""


class Action(Enum):
    """What a rule does."""

    ACCEPT = "accept"
    DROP = "drop"
    JUMP = "jump"
    GOTO = "goto"
    RETURN = "return"


@frozen
class Condition:
    """One field of the packet has one of these values."""

    field: str
    """Of L{Packet}; another name: it is not understood."""
    values: tuple[str, ...] = ()
    """A value; C{a-b}: a range of numbers; C{a.b.c.d/n}: a network; C{eth*}: a beginning."""
    negated: bool = False


@frozen
class Rule:
    """What is done with packets that meet all conditions."""

    conditions: tuple[Condition, ...]
    action: Action
    target: str = ""
    where: str = ""
    """For people: how to find it."""


@frozen
class Chain:
    """Rules in their order."""

    rules: Sequence[Rule] = ()
    begins: bool = False
    """Packets for this host come here first."""
    policy: Action | None = None
    """What becomes of those that no rule takes, where packets come here first."""
    where: str = ""


@frozen
class Outcome:
    """What becomes of a packet."""

    dropped: bool
    certain: bool = True
    where: str = ""
    """The rule, or the policy, that drops it."""


Chains = Mapping[tuple[str, str], Chain]
"""By table and name."""

PASSES = Outcome(False)


def outcome(chains: Chains, packet: Packet) -> Outcome:
    """What becomes of a packet that arrives: each first chain may drop it, and all have to let it pass."""
    perhaps = PASSES
    for (table, _), chain in chains.items():
        if not chain.begins:
            continue
        found = _Walk(chains, table, packet).first(chain)
        if found.dropped and found.certain:
            return found
        if found.dropped and not perhaps.dropped:
            perhaps = found
    return perhaps


class _Walk:
    """One packet's way through a table."""

    def __init__(self, chains: Chains, table: str, packet: Packet) -> None:
        self._chains = chains
        self._table = table
        self._packet = packet
        self._accepted = False
        """A rule that is not understood may have let it pass."""
        self._perhaps = PASSES

    def first(self, chain: Chain) -> Outcome:
        taken = self._through(chain, certain=True, depth=0)
        if taken is None and chain.policy is Action.DROP:
            taken = Outcome(True, not self._accepted, f"the policy of {chain.where}")
        if taken is not None and taken.dropped:
            return taken
        return self._perhaps

    def _through(self, chain: Chain, certain: bool, depth: int) -> Outcome | None:
        """None: no rule takes it for certain."""
        for rule in chain.rules if depth < DEPTH else ():
            meets = met(rule, self._packet)
            if meets is False:
                continue
            sure = certain and meets is True
            if rule.action is Action.RETURN:
                if meets is True:
                    return None
            elif rule.action in (Action.JUMP, Action.GOTO):
                called = self._chains.get((self._table, rule.target), Chain())
                taken = self._through(called, sure, depth + 1)
                if sure and (taken is not None or rule.action is Action.GOTO):
                    return taken
            elif sure and not (rule.action is Action.DROP and self._accepted):
                return Outcome(rule.action is Action.DROP, True, rule.where)
            elif rule.action is Action.ACCEPT:
                self._accepted = True
            elif not self._perhaps.dropped:
                self._perhaps = Outcome(True, False, rule.where)
        return None


def met(rule: Rule, packet: Packet) -> bool | None:
    """Whether a packet meets a rule's conditions; None where that is not known."""
    result: bool | None = True
    for condition in rule.conditions:
        one = _met(condition, packet)
        if one is False:
            return False
        if one is None:
            result = None
    return result


def _met(condition: Condition, packet: Packet) -> bool | None:
    value = packet.get(condition.field)
    if value is None:
        return None
    results = [_same(value, wanted) for wanted in condition.values]
    if None in results and True not in results:
        return None
    return (True in results) != condition.negated


def _same(value: str, wanted: str) -> bool | None:
    if wanted.startswith("@"):
        return None  # a named set, whose members stand elsewhere
    if "/" in wanted:
        return IPv4Address(value) in IPv4Network(wanted, strict=False)
    low, dash, high = wanted.partition("-")
    if dash and low.isdigit() and high.isdigit():
        return value.isdigit() and int(low) <= int(value) <= int(high)
    if wanted.endswith(("*", "+")):
        return value.startswith(wanted[:-1])
    return value == wanted


# nftables

_META = {"iifname": "iif", "iif": "iif", "l4proto": "protocol"}
_PAYLOAD = {"dport": "dport", "saddr": "saddr", "daddr": "daddr", "protocol": "protocol"}
_SERVICES = {"bootps": "67", "bootpc": "68", "tftp": "69", "http": "80", "https": "443"}
_STATEMENTS = {"accept": Action.ACCEPT, "drop": Action.DROP, "reject": Action.DROP, "return": Action.RETURN}
_CALLS = {"jump": Action.JUMP, "goto": Action.GOTO}
_HARMLESS = ("counter", "log", "comment", "notrack", "mangle", "set")


def from_nft(text: str) -> Chains:
    """
    The rules of C{nft -j list ruleset}.

    @raise ValueError: it is something else.
    """
    chains: dict[tuple[str, str], Chain] = {}
    rules: dict[tuple[str, str], list[Rule]] = {}
    for entry in json.loads(text)["nftables"]:
        if "chain" in entry and entry["chain"]["family"] in FAMILIES:
            one = entry["chain"]
            table = f"{one['family']} {one['table']}"
            begins = one.get("hook") in INPUT_HOOKS and one.get("type") == "filter"
            policy = _STATEMENTS.get(one.get("policy", ""))
            where = f"nft chain {table} {one['name']}"
            chains[table, one["name"]] = Chain(rules.setdefault((table, one["name"]), []), begins, policy, where)
        elif "rule" in entry and entry["rule"]["family"] in FAMILIES:
            one = entry["rule"]
            table = f"{one['family']} {one['table']}"
            where = f"rule {one.get('handle', '?')} of nft chain {table} {one['chain']}"
            rules.setdefault((table, one["chain"]), []).extend(_nft_rules(one["expr"], where))
    return chains


def _nft_rules(expressions: Sequence[Mapping[str, Any]], where: str) -> Iterator[Rule]:
    """One rule of nftables; with a verdict map it is as many as that has entries."""
    conditions: list[Condition] = []
    for expression in expressions:
        ((kind, body),) = expression.items()
        if kind == "match":
            conditions += _nft_conditions(body["left"], _values(body["right"]), body["op"] == "!=")
        elif kind in _STATEMENTS:
            yield Rule(tuple(conditions), _STATEMENTS[kind], where=where)
        elif kind in _CALLS:
            yield Rule(tuple(conditions), _CALLS[kind], body["target"], where)
        elif kind == "vmap":
            data = body["data"]
            entries = data["set"] if isinstance(data, dict) and "set" in data else ()
            if not entries:  # a named map, whose entries stand elsewhere
                yield Rule((*conditions, Condition("(vmap)")), Action.DROP, where=where)
            for value, verdict in entries:
                conditions_here = [*conditions, *_nft_conditions(body["key"], _values(value), False)]
                for rule in _nft_rules([verdict], where):
                    yield Rule((*conditions_here, *rule.conditions), rule.action, rule.target, where)
        elif kind == "xt" and isinstance(body, dict) and body.get("type") == "target":
            # a rule of iptables' that nft cannot say in its own words
            if _TARGETS.get(body.get("name", "")) is Action.DROP:
                yield Rule(tuple(conditions), Action.DROP, where=where)
        elif kind not in _HARMLESS:
            conditions.append(Condition(f"({kind})"))


def _nft_conditions(left: Any, values: tuple[str, ...], negated: bool) -> Iterator[Condition]:
    ((kind, body),) = left.items() if isinstance(left, dict) and len(left) == 1 else (("?", {}),)
    field = "?"
    if kind == "meta":
        field = _META.get(body["key"], "?")
    elif kind == "ct" and body["key"] == "state":
        field = "state"
    elif kind == "fib" and body.get("result") == "type" and body.get("flags") in ("daddr", ["daddr"]):
        field = "kind"
    elif kind == "payload" and body.get("protocol") in ("udp", "tcp", "ip"):
        field = _PAYLOAD.get(body["field"], "?")
        if body["protocol"] != "ip":
            yield Condition("protocol", (body["protocol"],))
    yield Condition(field, values, negated)


def _values(right: Any) -> tuple[str, ...]:
    if isinstance(right, list):
        return tuple(value for one in right for value in _values(one))
    if isinstance(right, dict):
        if "set" in right:
            return _values(right["set"])
        if "range" in right:
            return (f"{right['range'][0]}-{right['range'][1]}",)
        if "prefix" in right:
            return (f"{right['prefix']['addr']}/{right['prefix']['len']}",)
        return ("@",)
    return (_SERVICES.get(str(right), str(right)),)


# iptables

_OPTIONS = {
    "-p": "protocol", "-i": "iif", "-s": "saddr", "-d": "daddr", "--dport": "dport", "--dports": "dport",
    "--ctstate": "state", "--state": "state", "--dst-type": "kind",
}  # fmt: skip
_MODULES = ("udp", "tcp", "multiport", "state", "conntrack", "comment", "addrtype")
IPTABLES = ("ip filter", "ip nat", "ip mangle", "ip raw", "ip security")
"""The tables of nftables in which C{iptables} keeps its rules; C{iptables-save} says more of them."""
_TARGETS = {"ACCEPT": Action.ACCEPT, "DROP": Action.DROP, "REJECT": Action.DROP, "RETURN": Action.RETURN}


def from_iptables(text: str, program: str = "iptables") -> Chains:
    """The rules of the table C{filter} of C{iptables-save}, and of the others that may drop."""
    chains: dict[tuple[str, str], Chain] = {}
    rules: dict[tuple[str, str], list[Rule]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = f"{program} {line[1:]}"
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            begins = name == "INPUT" or (name == "PREROUTING" and not table.endswith("nat"))
            mine = rules.setdefault((table, name), [])
            chains[table, name] = Chain(mine, begins, _TARGETS.get(policy), f"{program} chain {name}")
        elif line.startswith("-A "):
            words = shlex.split(line)
            names = {name for known, name in chains if known == table}
            rule = _iptables_rule(words[2:], names, f"{program} {line}")
            if rule is not None:
                rules.setdefault((table, words[1]), []).append(rule)
    return chains


def _iptables_rule(words: Sequence[str], names: set[str], where: str) -> Rule | None:
    """None: it does nothing that matters here."""
    conditions: list[Condition] = []
    action, target = None, ""
    left = list(words)
    negated = False
    while left:
        word = left.pop(0)
        if word == "!":
            negated = True
            continue
        value = left.pop(0) if left and not left[0].startswith("-") else ""
        if word in ("-j", "-g"):
            action = _TARGETS.get(value)
            if value in names:
                action, target = Action.JUMP if word == "-j" else Action.GOTO, value
        elif word in _OPTIONS:
            values = tuple(one.replace(":", "-").lower() if word != "-i" else one for one in value.split(","))
            conditions.append(Condition(_OPTIONS[word], values, negated))
        elif not (word == "-m" and value in _MODULES) and word not in ("--comment", "--reject-with"):
            conditions.append(Condition(f"({word} {value})"))
        negated = False
    return None if action is None else Rule(tuple(conditions), action, target, where)
