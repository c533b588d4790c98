// SPDX-License-Identifier: MPL-2.0

package sniff

import (
	"bufio"
	"fmt"
	"strings"
)

// strangers are clients that no plugin serves, by how they begin.
var strangers = []struct{ prefix, says string }{
	{"GET ", browser}, {"HEAD ", browser}, {"POST ", browser}, {"PUT ", browser}, {"OPTIONS ", browser},
	{"CONNECT ", "it takes the plugin for a proxy"},
	{"PROXY ", balancer}, {"\r\n\r\n\x00\r\nQUIT\n", balancer},
	{"SSH-", "it is an SSH client"},
}

const (
	browser  = "it is a web client, such as a browser or a probe; PLUGIN_HEALTH_ADDR serves those"
	balancer = "it is a load balancer that announces its clients by the PROXY protocol, which must be turned off there"
)

// Stranger says what a client of an Unknown protocol seems to be, from the bytes
// that are buffered in br, of which it consumes none.
func Stranger(br *bufio.Reader) string {
	const quoted = 32
	head := string(peekAll(br))
	for _, s := range strangers {
		if strings.HasPrefix(head, s.prefix) {
			return s.says
		}
	}
	return fmt.Sprintf("it began with %+q", head[:min(len(head), quoted)])
}
