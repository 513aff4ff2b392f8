#!/bin/sh
# Lets the machines of an installation network reach the world through this host.
#
#     sudo ./forward.sh on [OUTER [INNER...]]
#     sudo ./forward.sh off
#
# OUTER is the interface that leads to the world (default: that of the default route), INNER are those of the machines
# (default: every other one that has an IPv4 address).  Whoever comes from INNER speaks with OUTER's address outside.
#
# "off" undoes what "on" did, and nothing else: what that was stands in a file meanwhile (STATE, /run/pybootd-forward).
# On Linux the firewall is iptables where it is installed, for Docker's rules are there too, else nft; FIREWALL=nft or
# FIREWALL=iptables chooses.  On macOS it is pf.
set -eu

state=${STATE:-/run/pybootd-forward}
system=$(uname -s)
if [ "$system" = Darwin ]; then state=${STATE:-/var/run/pybootd-forward}; fi

fail() {
    echo "forward.sh: $*" >&2
    exit 1
}

usage() {
    echo "Usage: $0 on [OUTER [INNER...]] | off" >&2
    exit 2
}

# remember WORD...: one thing that "off" has to undo
remember() { echo "$*" >>"$state"; }

# switch KEY: one kernel switch to 1, its former position remembered
switch() {
    if [ "$system" = Darwin ]; then
        remember switch "$1" "$(sysctl -n "$1")"
        sysctl -w "$1=1" >/dev/null
    else
        remember switch "$1" "$(cat "/proc/sys/$1")"
        echo 1 >"/proc/sys/$1"
    fi
}

switch_back() {
    if [ "$system" = Darwin ]; then
        sysctl -w "$1=$2" >/dev/null
    elif [ -e "/proc/sys/$1" ]; then # else the interface is gone
        echo "$2" >"/proc/sys/$1"
    fi
}

default_interface() {
    if [ "$system" = Darwin ]; then
        route -n get default 2>/dev/null | sed -n 's/^ *interface: //p'
    else
        ip -4 route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1
    fi
}

# those with an IPv4 address, but for $outer and the loopback interface
inner_interfaces() {
    if [ "$system" = Darwin ]; then
        for interface in $(ifconfig -l); do
            if [ "$interface" != "$outer" ] && [ "$interface" != lo0 ] && ifconfig "$interface" | grep -q 'inet '; then
                echo "$interface"
            fi
        done
    else
        ip -4 -o addr show | awk -v outer="$outer" '$2 != outer && $2 != "lo" { print $2 }' | sort -u
    fi
}

exists() {
    if [ "$system" = Darwin ]; then ifconfig "$1" >/dev/null 2>&1; else [ -e "/sys/class/net/$1" ]; fi
}

# rule TABLE CHAIN HOW... : one rule of iptables, first in its chain
rule() {
    table=$1 chain=$2
    shift 2
    iptables -w -t "$table" -I "$chain" "$@" -m comment --comment pybootd
    remember rule "$table" "$chain" "$@"
}

rule_away() {
    table=$1 chain=$2
    shift 2
    iptables -w -t "$table" -D "$chain" "$@" -m comment --comment pybootd
}

with_iptables() {
    rule nat POSTROUTING -o "$outer" -j MASQUERADE
    for interface in "$@"; do
        rule filter FORWARD -i "$interface" -o "$outer" -j ACCEPT
        rule filter FORWARD -i "$outer" -o "$interface" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    done
}

with_nft() {
    remember table
    nft -f - <<RULES
table ip pybootd {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "$outer" masquerade
    }
}
RULES
}

with_pf() {
    remember anchor
    echo "nat on $outer inet from ! ($outer) to any -> ($outer)" | pfctl -q -a com.apple/pybootd -f - 2>/dev/null
    token=$(pfctl -E 2>&1 | sed -n 's/^Token : //p')
    remember token "$token"
}

on() {
    if [ -e "$state" ]; then fail "it is on already; switch it off first"; fi
    outer=${1:-$(default_interface)}
    if [ -z "$outer" ]; then fail "there is no default route; name the interface that leads to the world"; fi
    if [ $# -gt 1 ]; then
        shift
    else
        # shellcheck disable=SC2046
        set -- $(inner_interfaces)
    fi
    if [ $# = 0 ]; then fail "no interface but $outer has an IPv4 address; give one an address first"; fi
    for interface in "$outer" "$@"; do
        exists "$interface" || fail "there is no interface $interface"
    done
    : >"$state"
    trap 'off; fail "that did not work; everything is as it was"' EXIT
    if [ "$system" = Darwin ]; then
        with_pf
        switch net.inet.ip.forwarding
    else
        case ${FIREWALL:-$(command -v iptables || echo nft)} in
        nft) with_nft ;;
        *) with_iptables "$@" ;;
        esac
        # of these interfaces only: no other network is opened by it
        for interface in "$outer" "$@"; do
            switch "net/ipv4/conf/$interface/forwarding"
        done
    fi
    trap - EXIT
    echo "$* may reach the world through $outer; '$0 off' undoes it"
}

off() {
    if [ ! -e "$state" ]; then
        echo "it is not on"
        return
    fi
    while read -r what rest; do
        # shellcheck disable=SC2086
        case $what in
        switch) switch_back $rest ;;
        rule) rule_away $rest || true ;;
        table) nft delete table ip pybootd || true ;;
        anchor) pfctl -q -a com.apple/pybootd -F all 2>/dev/null || true ;;
        token) pfctl -q -X "$rest" 2>/dev/null || true ;;
        esac
    done <"$state"
    rm -f "$state"
}

case ${1-} in
on | off) ;;
*) usage ;;
esac
if [ "$1" = off ] && [ $# -gt 1 ]; then usage; fi
if [ "$(id -u)" != 0 ]; then fail "only root can do that"; fi
"$@"
