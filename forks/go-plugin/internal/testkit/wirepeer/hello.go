// SPDX-License-Identifier: MPL-2.0

package wirepeer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
)

// Cookie is a magic cookie.
type Cookie struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Request is what a host says first, section 5.
type Request struct {
	Core      int      `json:"core"`
	Cookie    Cookie   `json:"cookie"`
	Versions  []int    `json:"versions"`
	Protocols []string `json:"protocols"`
	Features  []string `json:"features"`
}

// Answer is what a plugin says then.
type Answer struct {
	Core     int      `json:"core"`
	Version  int      `json:"version"`
	Protocol string   `json:"protocol"`
	Features []string `json:"features"`
	Instance string   `json:"instance"`
	Kinds    []Kind   `json:"kinds"`
}

// Kind is one that a plugin serves.
type Kind struct {
	Name string `json:"name"`
}

const greeting = "go-plugin/1 "

// Host shakes hands as a host that wants mux, on a connection that nobody has used.
func Host(conn net.Conn, cookie Cookie, version int, protocol string) (*Peer, *Answer, error) {
	line, err := json.Marshal(Request{1, cookie, []int{version}, []string{protocol}, []string{"mux"}})
	if err != nil {
		return nil, nil, err
	}
	if _, err := fmt.Fprintf(conn, "%s%s\n", greeting, line); err != nil {
		return nil, nil, err
	}
	r := bufio.NewReader(conn)
	said, err := r.ReadString('\n')
	if err != nil {
		return nil, nil, err
	}
	var body struct{ Answer *Answer }
	err = json.Unmarshal([]byte(strings.TrimPrefix(said, greeting)), &body)
	if a := body.Answer; err != nil || a == nil || a.Version != version || a.Protocol != protocol || !slices.Contains(a.Features, "mux") {
		return nil, nil, fmt.Errorf("the plugin says %q, %v", said, err)
	}
	return start(conn, r, true), body.Answer, nil
}

// Plugin shakes hands as a plugin of one version and protocol that serves a kind. It takes
// any cookie.
func Plugin(conn net.Conn, version int, protocol, kind string) (*Peer, *Request, error) {
	r := bufio.NewReader(conn)
	said, err := r.ReadString('\n')
	if err != nil {
		return nil, nil, err
	}
	var req Request
	err = json.Unmarshal([]byte(strings.TrimPrefix(said, greeting)), &req)
	if err != nil || !slices.Contains(req.Versions, version) || !slices.Contains(req.Protocols, protocol) || !slices.Contains(req.Features, "mux") {
		return nil, nil, fmt.Errorf("the host says %q, %v", said, err)
	}
	line, err := json.Marshal(map[string]Answer{"answer": {1, version, protocol, []string{"mux"}, "one", []Kind{{kind}}}})
	if err != nil {
		return nil, nil, err
	}
	if _, err := fmt.Fprintf(conn, "%s%s\n", greeting, line); err != nil {
		return nil, nil, err
	}
	return start(conn, r, false), &req, nil
}
