// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"maps"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

func shapes() map[string]shape {
	all := startShapes()
	maps.Copy(all, versionShapes())
	maps.Copy(all, optionShapes())
	for _, protocol := range []string{"netrpc", "grpc"} {
		one := single(protocol)
		client := hostapi.Client{Versions: one.Versions}
		large := one
		large.MaxMessage = 128 << 20
		shouting := one
		shouting.ComplainFirst = 10 << 20
		for name, s := range map[string]shape{
			"streams":   {"Streams of many messages arrive whole and in order", one, client, (*shapeRun).streamsAndLoad},
			"large":     {"A 64 MiB message goes there and back", large, client, (*shapeRun).largeMessage},
			"callbacks": {"Brokered connections in both directions, one after the other", one, client, (*shapeRun).callbackStorm},
			"panic":     {"A panic during a call ends the plugin and is logged as an error", one, client, (*shapeRun).panics},
			"killed":    {"A call in flight ends when the plugin is killed", one, client, (*shapeRun).killHard},
			"flood":     {"Output of a call arrives whole", one, client, (*shapeRun).floodAfterServe},
			"shouting":  {"10 MiB on stderr before serving do no harm", shouting, client, (*shapeRun).serves},
		} {
			all[protocol+"-"+name] = s
		}
	}
	all["grpc-large-refused"] = shape{
		"A message over the server's limit is refused in gRPC's words",
		single("grpc"), hostapi.Client{Versions: single("grpc").Versions}, (*shapeRun).largeMessage,
	}
	all["grpc-callbacks-multiplexed"] = shape{
		"Brokered connections over the one connection, in both directions",
		single("grpc"), hostapi.Client{Versions: single("grpc").Versions, Multiplex: true}, (*shapeRun).callbackStorm,
	}
	return all
}

// versionShapes are plugins with several versions, as those that moved from
// net/rpc to gRPC have them.
func versionShapes() map[string]shape {
	both := hostapi.Plugin{Versions: map[int]string{1: "netrpc", 2: "grpc"}}
	v1, v2, v3 := map[int]string{1: "netrpc"}, map[int]string{2: "grpc"}, map[int]string{3: "grpc"}
	return map[string]shape{
		"versions-both": {
			"The highest common version wins",
			both, hostapi.Client{Versions: both.Versions}, (*shapeRun).serves,
		},
		"versions-old-host": {
			"A host that knows only version 1 gets it, over net/rpc",
			both, hostapi.Client{Versions: v1}, (*shapeRun).serves,
		},
		"versions-new-host": {
			"A host that knows only version 2 gets it, over gRPC",
			both, hostapi.Client{Versions: v2}, (*shapeRun).serves,
		},
		"versions-old-plugin": {
			"A plugin that has only version 1 serves a host that prefers 2",
			hostapi.Plugin{Versions: v1}, hostapi.Client{Versions: both.Versions}, (*shapeRun).serves,
		},
		"versions-none-common": {
			"No common version is an error that names both sides'",
			both, hostapi.Client{Versions: v3}, (*shapeRun).startFails,
		},
		"protocol-not-allowed": {
			"A host that allows only net/rpc refuses a gRPC plugin",
			hostapi.Plugin{Versions: v2}, hostapi.Client{Versions: v2, Allowed: []string{"netrpc"}}, (*shapeRun).startFails,
		},
	}
}

// startShapes are plugins that do not come up, and hosts that do not let them.
func startShapes() map[string]shape {
	one := single("netrpc")
	client := hostapi.Client{Versions: one.Versions}
	with := func(change func(*hostapi.Plugin, *hostapi.Client)) (hostapi.Plugin, hostapi.Client) {
		p, c := one, client
		change(&p, &c)
		return p, c
	}
	all := map[string]shape{}
	add := func(name, reason string, change func(*hostapi.Plugin, *hostapi.Client)) {
		p, c := with(change)
		all[name] = shape{reason, p, c, (*shapeRun).startFails}
	}
	add("flood-first", "10 MiB without a line break before serving hide the handshake line",
		func(p *hostapi.Plugin, _ *hostapi.Client) { p.FloodFirst = 10 << 20 })
	add("flood-lines-first", "10 MiB of lines before serving are taken for the handshake line",
		func(p *hostapi.Plugin, _ *hostapi.Client) { p.FloodFirst, p.FloodLines = 10<<20, true })
	add("exits-first", "A plugin that ends before it serves",
		func(p *hostapi.Plugin, _ *hostapi.Client) { p.ExitFirst = 3 })
	add("hangs-first", "A plugin that does not serve in time",
		func(p *hostapi.Plugin, c *hostapi.Client) { p.HangFirst, c.StartTimeoutMS = true, 500 })
	add("wrong-cookie", "A host with another cookie",
		func(_ *hostapi.Plugin, c *hostapi.Client) { c.WrongCookie = true })
	refused := client
	refused.WrongChecksum = true
	all["wrong-checksum"] = shape{"An executable that is not the expected one", one, refused, (*shapeRun).notStarted}
	return all
}
