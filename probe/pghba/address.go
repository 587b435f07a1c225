package pghba

import (
	mathbits "math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// Kinds of address.
const (
	AllAddresses = "all"
	SameHost     = "samehost" // an address of the server itself
	SameNet      = "samenet"  // any subnet that the server is in
)

// Address is whom a host rule is for: a keyword in Kind, a network, or a host name (with a leading dot: all hosts of that
// domain).
type Address struct {
	Kind   string // all, samehost, samenet, or ""
	Prefix netip.Prefix
	Name   string
	masked bool // the mask stands in a field of its own
	holes  bool // and is no prefix
}

// String writes the address as the file has it.
func (a Address) String() string {
	switch {
	case a.Kind != "":
		return a.Kind
	case a.Name != "":
		return a.Name
	case a.Prefix.IsValid():
		return a.Prefix.String()
	}
	return ""
}

// Loopback tells whether only this machine itself can come from the address.
func (a Address) Loopback() bool {
	return a.Kind == SameHost || a.Prefix.IsValid() && (within(a.Prefix, loopback4) || within(a.Prefix, loopback6)) || a.Name == "localhost"
}

var (
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
	every4    = netip.MustParsePrefix("0.0.0.0/0")
	every6    = netip.MustParsePrefix("::/0")
)

// within tells whether every address of a is in b.
func within(a, b netip.Prefix) bool {
	return a.Addr().Is4() == b.Addr().Is4() && b.Bits() <= a.Bits() && b.Contains(a.Addr())
}

// parseAddress reads address and mask fields from the one at index 3; next is the index of the method.
func (r *Rule) parseAddress(fields []Field) (next int) {
	if len(fields) <= 3 {
		r.Error = "end-of-line before IP address specification"
		return 0
	}
	if len(fields[3].Tokens) > 1 {
		r.Error = "multiple values specified for host address"
		return 0
	}
	t := fields[3].Tokens[0]
	for _, word := range []string{AllAddresses, SameHost, SameNet} {
		if t.keyword(word) {
			r.Address.Kind = word
			return 4
		}
	}
	host, bits, cidr := strings.Cut(t.Text, "/")
	addr, isAddr := numericAddr(host)
	switch {
	case !isAddr && cidr:
		r.Error = `specifying both host name and CIDR mask is invalid: "` + t.Text + `"`
	case !isAddr:
		r.Address.Name = host
		return 4
	case cidr:
		n, err := strconv.Atoi(strings.TrimLeft(bits, " \t\r\v\f\n"))
		if err != nil || n < 0 || n > addr.BitLen() {
			r.Error = `invalid CIDR mask in address "` + t.Text + `"`
			return 0
		}
		r.Address.Prefix = netip.PrefixFrom(addr, n)
		return 4
	default:
		return r.parseMask(fields, addr)
	}
	return 0
}

// parseMask reads a mask in a field of its own. One with holes is kept as far as its leading ones go, which is more than
// the server lets in; nobody writes such a mask on purpose, and it never counts as covering another.
func (r *Rule) parseMask(fields []Field, addr netip.Addr) int {
	if len(fields) <= 4 {
		r.Error = "end-of-line before netmask specification"
		return 0
	}
	if len(fields[4].Tokens) > 1 {
		r.Error = "multiple values specified for netmask"
		return 0
	}
	text := fields[4].Tokens[0].Text
	mask, ok := numericAddr(text)
	switch {
	case !ok:
		r.Error = `invalid IP mask "` + text + `"`
		return 0
	case mask.Is4() != addr.Is4():
		r.Error = "IP address and mask do not match"
		return 0
	}
	lead, ones := 0, 0
	for i, b := range mask.AsSlice() {
		ones += mathbits.OnesCount8(b)
		if lead == 8*i {
			lead += mathbits.LeadingZeros8(^b)
		}
	}
	r.Address.Prefix, r.Address.masked, r.Address.holes = netip.PrefixFrom(addr, lead), true, ones != lead
	return 5
}

// numericAddr reads what getaddrinfo takes as a number: also 10, 10.1 and 0x0a000001, so that "10/8" is 0.0.0.10/8.
func numericAddr(text string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.WithZone(""), true
	}
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, p := range parts {
		n, ok := cNumber(p)
		if !ok {
			return netip.Addr{}, false
		}
		if i == len(parts)-1 {
			rest := uint(8 * (4 - i))
			if n >= 1<<rest {
				return netip.Addr{}, false
			}
			v = v<<rest | n
		} else if n > 255 {
			return netip.Addr{}, false
		} else {
			v = v<<8 | n
		}
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

// cNumber is a number of C: decimal, 0x hexadecimal, or octal with a leading 0.
func cNumber(p string) (uint64, bool) {
	if p == "" || p[0] < '0' || p[0] > '9' {
		return 0, false
	}
	base, digits := 10, p
	if rest, ok := strings.CutPrefix(strings.ToLower(p), "0x"); ok {
		base, digits = 16, rest
	} else if len(p) > 1 && p[0] == '0' {
		base, digits = 8, p[1:]
	}
	n, err := strconv.ParseUint(digits, base, 33)
	return n, err == nil && !strings.Contains(digits, "_")
}
