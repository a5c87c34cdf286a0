"""The table ``bridge weft``: at its port of the bridge, a container can only send as itself.

Without it a container with CAP_NET_RAW could take the address of its neighbour, of the gateway or of the DHCP server.
The hook is the bridge's own prerouting, the first that a frame meets: what is dropped here reaches neither another
port nor the host.

Why it is written as it is:

- Frames with VLAN tags are dropped first.  nft looks through a tag when it reads addresses, but the receiver's stack
  does not.
- Source 0.0.0.0 (a DHCP client, an ARP probe) is not among a container's addresses and thus dropped.  Source :: is
  needed to ask whether one's own address is free, and to join multicast groups.
- nft finds the ICMPv6 header behind extension headers, so these hide nothing (RFC 7113); the receiver ignores
  neighbour discovery in fragments (RFC 6980).
- '@th,64,128' are the 128 bits 8 octets into the ICMPv6 message: the target of a neighbour solicitation or
  advertisement (RFC 4861, 4.3 and 4.4).  nft 1.0.6 has no name for it.
- Queries of multicast routers would make the bridge prune groups by what the container says.
"""

# ruff: noqa: E501 (a rule is one line, as nft prints it)
BODY = """\
table bridge weft {
	set ports {
		type ifname
		comment "ports of containers"
	}

	set macs {
		type ifname . ether_addr
	}

	set arp_sources {
		type ifname . ether_addr . ipv4_addr
	}

	set sources4 {
		type ifname . ipv4_addr
	}

	set sources6 {
		type ifname . ipv6_addr
	}

	set nd_targets {
		typeof iifname . @th,64,128
	}

	chain prerouting {
		type filter hook prerouting priority dstnat; policy accept;
		iifname @ports goto guard
	}

	chain guard {
		ether type != { ip, arp, ip6 } drop comment "neither IP nor ARP, or with a VLAN tag"
		iifname . ether saddr != @macs drop comment "forged MAC"
		iifname . arp saddr ether . arp saddr ip @arp_sources accept
		iifname . ip saddr @sources4 goto guard4
		ether type ip6 goto guard6
		ether type arp drop comment "forged ARP sender"
		drop comment "forged IPv4 sender"
	}

	chain guard4 {
		ip daddr 127.0.0.0/8 drop comment "loopback addresses never come over a wire"
		udp sport 67 drop comment "a container is no DHCP server"
		ether type ip igmp type membership-query drop comment "a container is no router"
		accept
	}

	chain guard6 {
		icmpv6 type { mld-listener-query, nd-router-advert, nd-redirect } drop comment "a container is no router"
		icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @nd_targets drop comment "forged neighbour advertisement"
		udp sport 547 drop comment "a container is no DHCP server"
		iifname . ip6 saddr @sources6 accept
		ip6 saddr :: icmpv6 type nd-neighbor-solicit iifname . @th,64,128 @nd_targets accept comment "duplicate address detection"
		ip6 saddr :: icmpv6 type { mld-listener-report, mld2-listener-report } accept
		drop comment "forged IPv6 sender"
	}
}
"""
