// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"bytes"
	"net"
	"net/rpc"
	"reflect"
	"strings"
	"testing"
)

// outcome is what comes of a message that a peer made up.
type outcome int

const (
	ignored outcome = iota // the session goes on
	ended                  // because the message is malformed
	cut                    // the session waits for the rest of it
)

// name is a method's name in a request.
func name(s string) string { return string([]byte{byte(len(s))}) + s }

var madeUp = map[string]struct {
	data         []byte
	plugin, host outcome // what it is to each of them
}{
	"no length":                    {[]byte{0, 0}, cut, cut},
	"length zero":                  {[]byte{0, 0, 0, 0}, ended, ended},
	"length of 2^31":               {[]byte{0x80, 0, 0, 0, 1}, ended, ended},
	"longest, and no more":         {[]byte{0, 1, 0x80, 0, 61}, cut, cut},
	"longer than the longest":      {[]byte{0, 4, 0x80, 1, 61}, ended, ended},
	"longest request":              {append([]byte{0, 1, 0x20, 0x11}, "\x01\x01\x01\x00\x00\x0cPlugin.Upper\x7f"...), cut, cut},
	"request that is not in parts": {append([]byte{0, 1, 0x20, 0x13}, "\x01\x01\x01\x00\x00\x0cPlugin.Upper\x7f"...), ended, ended},
	"answer that is not in parts":  {append([]byte{0, 1, 0x20, 4}, "\x02\x01\x01\x7f"...), ended, ended},
	"longest answer":               {append([]byte{0, 1, 0x20, 3}, "\x02\x01\x01\x7f"...), cut, cut},
	"kind zero":                    {rawMessage(0, "what"), ignored, ignored},
	"kind of a later version":      {rawMessage(61, "what"), ignored, ignored},
	"fresh, of a later version":    {rawMessage(61|flagFresh, ""), ignored, ignored},
	"request without fields":       {rawMessage(kindRequest, ""), ended, ended},
	"request without a name":       {rawMessage(kindRequest, "", 1, 1, 0, 0), ended, ended},
	"request with half a name":     {rawMessage(kindRequest, "Plugin", 1, 1, 0, 0, 12), ended, ended},
	"request with a long name":     {rawMessage(kindRequest, strings.Repeat("x", 2000), 1, 1, 0, 0, 2000), ended, ended},
	"request with a name of 2^63 bytes": {
		rawMessage(kindRequest, "x", 1, 1, 0, 0, 1<<63), ended, ended},
	"request of no channel":             {rawMessage(kindRequest, name("Plugin.Upper")+"\x03\x0c\x00\x61", 9, 1, 0, 0), ended, ignored},
	"request with a number too long":    {rawMessage(kindRequest, strings.Repeat("\xff", 11)), ended, ended},
	"request without a value":           {rawMessage(kindRequest, name("Plugin.Upper"), 1, 1, 0, 0), ignored, ignored},
	"request with nonsense":             {rawMessage(kindRequest, name("Plugin.Upper")+"nonsense", 1, 1, 0, 0), ignored, ignored},
	"request with more than a value":    {rawMessage(kindRequest, name("Plugin.Upper")+"\x04\x0c\x00\x01anonsense", 1, 1, 0, 0), ignored, ignored},
	"request of no method":              {rawMessage(kindRequest, name(""), 1, 1, 0, 0), ignored, ignored},
	"answer without fields":             {rawMessage(kindAnswer, ""), ended, ended},
	"answer without a number":           {rawMessage(kindAnswer, "", 1), ended, ended},
	"answer on no channel":              {rawMessage(kindAnswer, "nonsense", 9, 1), ignored, ignored},
	"answer to no call":                 {rawMessage(kindAnswer, "\x03\x0c\x00\x00", 1, 9), ignored, ignored},
	"failure on no channel":             {rawMessage(kindFailure, "no", 9, 1), ignored, ignored},
	"failure of no call":                {rawMessage(kindFailure, "no", 1, 9), ignored, ignored},
	"failure without a text":            {rawMessage(kindFailure, "", 1, 9), ignored, ignored},
	"release of no channel":             {rawMessage(kindRelease, "", 9), ignored, ignored},
	"release without a channel":         {rawMessage(kindRelease, ""), ended, ended},
	"draining, and more":                {rawMessage(kindDraining, "what"), ignored, ignored},
	"stream without a number":           {rawMessage(kindStream, ""), ended, ended},
	"stream without a purpose":          {rawMessage(kindStream, "", 2), ended, ended},
	"stream zero":                       {rawMessage(kindStream, "\x01", 0), ended, ended},
	"stream of the host's":              {rawMessage(kindStream, "\x4d", 2), ignored, ended},
	"stream of the plugin's":            {rawMessage(kindStream, "\x4d", 1), ended, ignored},
	"stream twice, from the host":       {append(rawMessage(kindStream, "\x4d", 2), rawMessage(kindStream, "\x4d", 2)...), ended, ended},
	"stream twice, from the plugin":     {append(rawMessage(kindStream, "\x4d", 3), rawMessage(kindStream, "\x4d", 1)...), ended, ended},
	"stream with a long header":         {rawMessage(kindStream, "\x4d"+strings.Repeat("x", maxStreamHeader+1), 2), ended, ended},
	"data of no stream":                 {rawMessage(kindData, "x", 2), ended, ended},
	"data of a stream that is not ours": {rawMessage(kindData, "x", 1), ended, ended},
	"credit of no stream":               {rawMessage(kindCredit, "", 2, 1), ended, ended},
	"end of no stream":                  {rawMessage(kindEnd, "", 1<<40), ended, ended},
	"reset of no stream":                {rawMessage(kindReset, "no", 1), ended, ended},
	"data of a stream that is over":     {append(rawMessage(kindStream, "\x4d", 2), rawMessage(kindData, strings.Repeat("x", 60<<10), 2)...), ignored, ended},
	"broker id":                         {rawMessage(kindAccepts, "", 7), ignored, ignored},
	"broker id that is missing":         {rawMessage(kindAccepts, ""), ended, ended},
	"broker id of 33 bits":              {rawMessage(kindAccepts, "", 1<<32), ended, ignored},
	"probe, and more":                   {rawMessage(kindProbe, "what"), ignored, ignored},
	"alive, and more":                   {rawMessage(kindAlive, "what"), ignored, ignored},
}

// gob does not survive it to be asked twice to skip what it was not told of.
func TestUnknownTypeTwice(t *testing.T) {
	here, there := net.Pipe()
	host, _ := rawHost(t, here, there, PluginConfig{}, newThing())
	for n := range uint64(3) {
		host.write(rawMessage(kindRequest, name("Plugin.None")+"\x040000", 1, n, 0, 0))
		if m := host.next(); m.kind != kindFailure || m.number != n {
			t.Errorf("got %+v", m)
		}
	}
	host.write(host.request(1, 3, "Plugin.Upper", "a"))
	if m := host.next(); m.kind != kindAnswer || m.number != 3 {
		t.Errorf("got %+v", m)
	}
}

func TestUnknownTypeTwiceFromPlugin(t *testing.T) {
	here, there := net.Pipe()
	h := NewHost(here, HostConfig{})
	defer h.Close()
	c := h.Channel(1)
	plugin := newRawPeer(t, there)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for n := range uint64(3) {
			plugin.write(rawMessage(kindAnswer, "\x040000", 1, n))
		}
	}()
	for n := range uint64(3) {
		var r rpc.Response
		if err := c.ReadHeader(&r); err != nil || r.Seq != n {
			t.Fatalf("got %+v, %v", r, err)
		}
		if err := c.ReadReply(reflect.Value{}); err == nil {
			t.Error("nonsense is a reply")
		}
	}
	<-sent
}

// TestMalformedRequestIsOver holds that a request which ends the session is no call under
// way any more: Serve and a plugin that drains would wait for it.
func TestMalformedRequestIsOver(t *testing.T) {
	for name, numbers := range map[string][]uint64{"control": {0, 7, 0, 0}, "a channel": {1, 7, 0, 0}} {
		first := rawMessage(kindRequest|flagMore, "\x0cPlugin.Upper\x05", numbers...)
		for what, sent := range map[string][]byte{
			"a long request of no bytes":   rawMessage(kindRequest|flagMore, "\x0cPlugin.Upper\x00", numbers...),
			"a long request that is twice": append(first, first...),
			"a long request that is cut":   first,
			"a part of too many bytes":     append(bytes.Clone(first), rawMessage(kindPart, "123456", numbers[0], 7)...),
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				calls := new(counter)
				server := rpc.NewServer()
				p := NewPlugin(&fixedConn{data: sent}, PluginConfig{Control: server, Calls: calls})
				p.services[1] = newService(p, 1, server)
				if err := serve(p); err == nil {
					t.Error("the session ends without an error")
				}
				if begun, ended := calls.begun.Load(), calls.ended.Load(); begun != ended || (begun == 0) == (numbers[0] != 0) {
					t.Errorf("%d calls have begun, %d are over", begun, ended)
				}
			})
		}
	}
}

// TestSessionWithoutControl holds that a session of gRPC refuses the calls of net/rpc, and
// keeps nothing of them.
func TestSessionWithoutControl(t *testing.T) {
	here, there := tcpPair(t)
	p := NewPlugin(there, PluginConfig{})
	served := make(chan struct{})
	go func() { defer close(served); _ = serve(p) }()
	host := newRawPeer(t, here)
	long := rawMessage(kindRequest|flagMore, "\x0cPlugin.Upper\xff\xff\x03", 0, 8, 0, 0)
	for number, sent := range map[uint64][]byte{7: host.request(0, 7, "Dispenser.Dispense", "thing"), 8: long} {
		host.write(sent)
		if m := host.next(); m.kind != kindRefused || m.number != number || m.size != refusedUnserved {
			t.Errorf("call %d: got %+v", number, m)
		}
	}
	if n := len(p.come.all()); n > 0 {
		t.Errorf("%d long requests are expected", n)
	}
	_ = here.Close()
	<-served
}
