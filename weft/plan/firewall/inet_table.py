"""The table ``inet weft``: who may reach whom, and under which address.

The chains never change.  Networks, containers and published ports are elements of the sets and maps, so what a
packet costs does not depend on how many there are.  ``nft list table inet weft`` shows it all on a live host.

The way of a packet, hook by hook (nft(8), 'ADDRESS FAMILIES'):

    prerouting   shield              drops what pretends to be local, before connection tracking sees it
                 translate_incoming  leads published ports and name queries to where they are served
    input        input               what containers may ask of the host itself
    forward      forward             what passes between networks, and between them and the outside
    output       translate_local     published ports, for the host's own processes
                 output              no hints to containers how to get round the host
    postrouting  translate_outgoing  who appears as the host

Why it is written as it is:

- A verdict 'accept' ends the way through this table only: every other table still has its say.  A 'drop' is final.
- Loopback addresses are dropped on every real interface (CVE-2020-8558), because bridges have ``route_localnet`` set,
  without which the host's own processes could not reach a published port by 127.0.0.1.  For the same reason the
  ports that are published on a loopback address are looked up for locally made packets only.
- Ports are looked up for addresses of the host only ('fib daddr type local'): a container that calls port 80 of some
  server outside must not be led to the container that is published on port 80 here (CVE-2025-67499).
- Where bridge netfilter is on, frames between two ports of one bridge pass the forward chain too, with that bridge
  as both interfaces; where it is off they do not.  Rules for one network have to be right in both cases.
- 'ct status dnat' is the mark of a connection that was led here by a published port.  Nobody outside can forge it.
- Where bridge netfilter is on, a frame that is led to a published port of the same bridge never leaves the bridge,
  and postrouting does not know where it came in.  Its answers come back by the bridge and need no masquerading,
  except where a container calls itself.  Isolated ports cannot be crossed like that, so where icc is off, published
  ports of the same network are closed too, with or without bridge netfilter.
- Packets that connection tracking cannot place are not translated, so they must not leave.
"""

# ruff: noqa: E501 (a rule is one line, as nft prints it)
BODY = """\
table inet weft {
	set bridges {
		type ifname
		comment "bridges of weft's networks"
	}

	set same_network {
		type ifname . ifname
		comment "each bridge with itself"
	}

	set separated {
		type ifname
		comment "bridges whose containers may not reach each other"
	}

	set internal {
		type ifname
		comment "bridges whose containers reach their own network and its gateway only"
	}

	set masqueraded {
		type ifname
		comment "bridges whose traffic to the outside takes the host's address"
	}

	set gateways4 {
		type ipv4_addr
	}

	set gateways6 {
		type ipv6_addr
	}

	set own_gateway4 {
		type ifname . ipv4_addr
	}

	set own_gateway6 {
		type ifname . ipv6_addr
	}

	set links4 {
		type ipv4_addr . ipv4_addr . inet_proto . inet_service
	}

	set links6 {
		type ipv6_addr . ipv6_addr . inet_proto . inet_service
	}

	set view_ports {
		type inet_service
	}

	set opened4 {
		type ifname
	}

	set opened6 {
		type ifname
	}

	map publish4 {
		type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service
	}

	map publish6 {
		type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service
	}

	map publish_any4 {
		type inet_proto . inet_service : ipv4_addr . inet_service
	}

	map publish_any6 {
		type inet_proto . inet_service : ipv6_addr . inet_service
	}

	map publish_loopback4 {
		type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service
	}

	map resolver4 {
		type ifname . ipv4_addr : inet_service
	}

	map resolver6 {
		type ifname . ipv6_addr : inet_service
	}

	set own_ports4 {
		type ipv4_addr . ipv4_addr
		comment "containers that publish ports, each with itself"
	}

	set own_ports6 {
		type ipv6_addr . ipv6_addr
		comment "containers that publish ports, each with itself"
	}

	chain shield {
		type filter hook prerouting priority raw - 10; policy accept;
		iifname "lo" accept comment "what the host says to itself"
		ip daddr 127.0.0.0/8 drop comment "loopback addresses never come over a wire"
		ip saddr 127.0.0.0/8 drop comment "loopback addresses never come over a wire"
		ip6 daddr ::1 drop comment "loopback addresses never come over a wire"
		ip6 saddr ::1 drop comment "loopback addresses never come over a wire"
		ip daddr @gateways4 iifname . ip daddr != @own_gateway4 drop comment "a gateway is there for its own network"
		ip6 daddr @gateways6 iifname . ip6 daddr != @own_gateway6 drop comment "a gateway is there for its own network"
	}

	chain translate_incoming {
		type nat hook prerouting priority dstnat; policy accept;
		iifname . ip daddr @own_gateway4 meta l4proto { tcp, udp } th dport 53 dnat to :iifname . ip saddr map @resolver4 comment "names: each container asks its own view"
		iifname . ip6 daddr @own_gateway6 meta l4proto { tcp, udp } th dport 53 dnat to :iifname . ip6 saddr map @resolver6 comment "names: each container asks its own view"
		fib daddr type local jump publish comment "published ports are ports of the host's own addresses"
	}

	chain translate_local {
		type nat hook output priority -100; policy accept;
		ip6 daddr ::1 accept comment "a relay serves this address"
		meta l4proto { tcp, udp, sctp } dnat ip to meta l4proto . ip daddr . th dport map @publish_loopback4 comment "published on a loopback address"
		fib daddr type local jump publish comment "published ports are ports of the host's own addresses"
	}

	chain publish {
		meta l4proto { tcp, udp, sctp } dnat ip to meta l4proto . ip daddr . th dport map @publish4 comment "published on one address"
		meta l4proto { tcp, udp, sctp } dnat ip6 to meta l4proto . ip6 daddr . th dport map @publish6 comment "published on one address"
		meta nfproto ipv4 meta l4proto { tcp, udp, sctp } dnat ip to meta l4proto . th dport map @publish_any4 comment "published on every address"
		meta nfproto ipv6 meta l4proto { tcp, udp, sctp } dnat ip6 to meta l4proto . th dport map @publish_any6 comment "published on every address"
	}

	chain translate_outgoing {
		type nat hook postrouting priority srcnat; policy accept;
		oifname @bridges ip saddr 127.0.0.0/8 masquerade comment "from localhost to a published port"
		iifname . oifname @same_network ct status dnat masquerade comment "to a published port of the same network"
		ct status dnat ip saddr . ip daddr @own_ports4 masquerade comment "to a published port of its own"
		ct status dnat ip6 saddr . ip6 daddr @own_ports6 masquerade comment "to a published port of its own"
		iifname @masqueraded oifname != @bridges masquerade comment "to the outside in the host's name"
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		ct state established,related accept comment "answers"
		iifname @bridges goto from_container
		oifname @bridges goto to_container
		meta nfproto ipv4 iifname @opened4 ct status ! dnat drop comment "weft does not make this host a router for others"
		meta nfproto ipv6 iifname @opened6 ct status ! dnat drop comment "weft does not make this host a router for others"
	}

	chain from_container {
		iifname . oifname @same_network goto same_network
		ct state invalid drop comment "would leave untranslated"
		iifname @internal drop comment "internal network: nothing leaves it"
		oifname @internal drop comment "internal network: nothing enters it"
		oifname @bridges ct status dnat accept comment "published port of another network"
		oifname @bridges drop comment "networks do not reach each other"
	}

	chain same_network {
		iifname != @separated accept
		ip saddr . ip daddr . meta l4proto . th dport @links4 accept comment "link"
		ip6 saddr . ip6 daddr . meta l4proto . th dport @links6 accept comment "link"
		drop comment "icc is off in this network"
	}

	chain to_container {
		oifname @internal drop comment "internal network: nothing enters it"
		ct state invalid drop comment "no connection is known for it"
		ct status dnat accept comment "published port"
		drop comment "not a published port"
	}

	chain input {
		type filter hook input priority filter; policy accept;
		iifname != @bridges accept
		ct state established,related accept comment "answers"
		iifname . ip daddr @own_gateway4 meta l4proto { tcp, udp } th dport @view_ports ct status ! dnat drop comment "names: only by port 53, which leads to the own view"
		iifname . ip6 daddr @own_gateway6 meta l4proto { tcp, udp } th dport @view_ports ct status ! dnat drop comment "names: only by port 53, which leads to the own view"
		iifname != @internal accept
		iifname . ip daddr @own_gateway4 accept comment "internal network: its gateway"
		iifname . ip6 daddr @own_gateway6 accept comment "internal network: its gateway"
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		drop comment "internal network: nothing but its gateway"
	}

	chain output {
		type filter hook output priority filter; policy accept;
		oifname @bridges icmp type redirect drop comment "neighbours here may be separated"
		oifname @bridges icmpv6 type nd-redirect drop comment "neighbours here may be separated"
	}
}
"""
