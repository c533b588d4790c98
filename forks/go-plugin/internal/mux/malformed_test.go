// SPDX-License-Identifier: MPL-2.0

package mux

import (
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
	"no length":                 {[]byte{0, 0}, cut, cut},
	"length zero":               {[]byte{0, 0, 0, 0}, ended, ended},
	"length of 2^31":            {[]byte{0x80, 0, 0, 0, 1}, ended, ended},
	"longest, and no more":      {[]byte{0x7f, 0xff, 0xff, 0xff, 77}, cut, cut},
	"longest request":           {append([]byte{0x7f, 0xff, 0xff, 0xff}, "\x01\x01\x01\x0cPlugin.Upper\x7f"...), cut, cut},
	"longest answer":            {append([]byte{0x7f, 0xff, 0xff, 0xff}, "\x02\x01\x01\x7f"...), cut, cut},
	"kind zero":                 {rawMessage(0, "what"), ignored, ignored},
	"kind of a later version":   {rawMessage(77, "what"), ignored, ignored},
	"fresh, of a later version": {rawMessage(77|fresh, ""), ignored, ignored},
	"request without fields":    {rawMessage(request, ""), ended, ended},
	"request without a name":    {rawMessage(request, "", 1, 1), ended, ended},
	"request with half a name":  {rawMessage(request, "Plugin", 1, 1, 12), ended, ended},
	"request with a long name":  {rawMessage(request, strings.Repeat("x", 2000), 1, 1, 2000), ended, ended},
	"request with a name of 2^63 bytes": {
		rawMessage(request, "x", 1, 1, 1<<63), ended, ended},
	"request of no channel":          {rawMessage(request, name("Plugin.Upper")+"\x03\x0c\x00\x61", 9, 1), ended, ignored},
	"request with a number too long": {rawMessage(request, strings.Repeat("\xff", 11)), ended, ended},
	"request without a value":        {rawMessage(request, name("Plugin.Upper"), 1, 1), ignored, ignored},
	"request with nonsense":          {rawMessage(request, name("Plugin.Upper")+"nonsense", 1, 1), ignored, ignored},
	"request with more than a value": {rawMessage(request, name("Plugin.Upper")+"\x04\x0c\x00\x01anonsense", 1, 1), ignored, ignored},
	"request of no method":           {rawMessage(request, name(""), 1, 1), ignored, ignored},
	"answer without fields":          {rawMessage(answer, ""), ended, ended},
	"answer without a number":        {rawMessage(answer, "", 1), ended, ended},
	"answer on no channel":           {rawMessage(answer, "nonsense", 9, 1), ignored, ignored},
	"answer to no call":              {rawMessage(answer, "\x03\x0c\x00\x00", 1, 9), ignored, ignored},
	"failure on no channel":          {rawMessage(failure, "no", 9, 1), ignored, ignored},
	"failure of no call":             {rawMessage(failure, "no", 1, 9), ignored, ignored},
	"failure without a text":         {rawMessage(failure, "", 1, 9), ignored, ignored},
	"release of no channel":          {rawMessage(release, "", 9), ignored, ignored},
	"release without a channel":      {rawMessage(release, ""), ended, ended},
	"draining, and more":             {rawMessage(draining, "what"), ignored, ignored},
	"credit, and more":               {rawMessage(credit, "what"), ignored, ignored},
	"output that nobody asked for":   {append(rawMessage(output, "a", 1), rawMessage(output, "b", 1)...), ignored, ended},
	"output that is too long":        {rawMessage(output, strings.Repeat("x", maxOutput+1), 1), ignored, ended},
	"output of nothing":              {rawMessage(output, "", 7), ignored, ignored},
	"output without a number":        {rawMessage(output, ""), ended, ended},
	"probe, and more":                {rawMessage(probe, "what"), ignored, ignored},
	"alive, and more":                {rawMessage(alive, "what"), ignored, ignored},
}

// gob does not survive it to be asked twice to skip what it was not told of.
func TestUnknownTypeTwice(t *testing.T) {
	here, there := net.Pipe()
	host, _ := rawHost(t, here, there, PluginConfig{}, newThing())
	for n := range uint64(3) {
		host.write(rawMessage(request, name("Plugin.None")+"\x040000", 1, n))
		if m := host.next(); m.kind != failure || m.number != n {
			t.Errorf("got %+v", m)
		}
	}
	host.write(host.request(1, 3, "Plugin.Upper", "a"))
	if m := host.next(); m.kind != answer || m.number != 3 {
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
			plugin.write(rawMessage(answer, "\x040000", 1, n))
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
