// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/hashicorp/go-plugin"
)

// grafana is Grafana, plugin protocol 2.
func grafana() system {
	return system{
		handshake: plugin.HandshakeConfig{
			ProtocolVersion:  grpcplugin.ProtocolVersion,
			MagicCookieKey:   grpcplugin.MagicCookieKey,
			MagicCookieValue: grpcplugin.MagicCookieValue,
		},
		version:  grpcplugin.ProtocolVersion,
		protocol: plugin.ProtocolGRPC,
		plugins: plugin.PluginSet{
			"diagnostics": &grpcplugin.DiagnosticsGRPCPlugin{},
			"resource":    &grpcplugin.ResourceGRPCPlugin{},
			"data":        &grpcplugin.DataGRPCPlugin{},
			"stream":      &grpcplugin.StreamGRPCPlugin{},
		},
		converse: func(ctx context.Context, client plugin.ClientProtocol, out io.Writer, self string) error {
			d, err := newDashboard(client, out, self)
			if err != nil {
				return err
			}
			return d.open(ctx)
		},
	}
}

// dashboard uses one data source, with the clients that Grafana has.
type dashboard struct {
	out         io.Writer
	self        string
	source      *pluginv2.PluginContext
	diagnostics grpcplugin.DiagnosticsClient
	resource    grpcplugin.ResourceClient
	data        grpcplugin.DataClient
	stream      grpcplugin.StreamClient
}

func newDashboard(client plugin.ClientProtocol, out io.Writer, self string) (*dashboard, error) {
	settings, err := json.Marshal(map[string]string{"prefix": self})
	if err != nil {
		return nil, fmt.Errorf("encode the settings: %w", err)
	}
	d := &dashboard{out: out, self: self, source: backend.ToProto().PluginContext(backend.PluginContext{
		Namespace: "default",
		PluginID:  "reattach-sample-datasource",
		DataSourceInstanceSettings: &backend.DataSourceInstanceSettings{
			ID: int64(os.Getpid()), UID: self, Name: self, JSONData: settings, Updated: time.Unix(0, 0),
			DecryptedSecureJSONData: map[string]string{"secret": "known to " + self},
		},
	})}
	if d.diagnostics, err = dispense[grpcplugin.DiagnosticsClient](client, "diagnostics"); err != nil {
		return nil, err
	}
	if d.resource, err = dispense[grpcplugin.ResourceClient](client, "resource"); err != nil {
		return nil, err
	}
	if d.data, err = dispense[grpcplugin.DataClient](client, "data"); err != nil {
		return nil, err
	}
	d.stream, err = dispense[grpcplugin.StreamClient](client, "stream")
	return d, err
}

// say prints a line, in which the host itself is MINE.
func (d *dashboard) say(format string, args ...any) {
	fmt.Fprintln(d.out, strings.ReplaceAll(fmt.Sprintf(format, args...), d.self, "MINE"))
}

// open does what Grafana does with a data source: it checks its health, queries
// it, calls resources, follows channels, and collects metrics.
func (d *dashboard) open(ctx context.Context) error {
	health, err := d.diagnostics.CheckHealth(ctx, &pluginv2.CheckHealthRequest{PluginContext: d.source})
	d.say("health %v %s %v", health.GetStatus(), health.GetMessage(), err)
	for n := range 10 {
		d.query(ctx, fmt.Sprint("Q", n), n+1, 0)
	}
	d.query(ctx, "refused", -1, 0)
	d.query(ctx, "large", 100_000, 5<<20) // more than the 4 MiB of a gRPC that is left as it is
	d.upset(ctx)
	for _, path := range []string{"items", "missing"} {
		if err := d.call(ctx, path); err != nil {
			d.say("resource %s: %v", path, err)
		}
	}
	for _, path := range []string{"ends", "goes on"} {
		if err := d.follow(ctx, path); err != nil {
			return err
		}
	}
	published, err := d.stream.PublishStream(ctx, &pluginv2.PublishStreamRequest{PluginContext: d.source, Path: "ends"})
	d.say("publish %v %v", published.GetStatus(), err)
	metrics, err := d.diagnostics.CollectMetrics(ctx, &pluginv2.CollectMetricsRequest{PluginContext: d.source})
	d.say("metrics of the gRPC server: %v %v",
		strings.Contains(string(metrics.GetMetrics().GetPrometheus()), "\ngrpc_server_handled_total{"), err)
	return nil
}

// upset makes the method panic. Over the network the fork answers that before the
// SDK does, in words of its own, so only what it panicked with is looked at.
func (d *dashboard) upset(ctx context.Context) {
	_, err := d.ask(ctx, "panics", 0, 0)
	d.say("a panic is an error of the call: %v", err != nil && strings.Contains(err.Error(), "no rows were asked for"))
}

// query prints the rows that it gets, or the error.
func (d *dashboard) query(ctx context.Context, name string, rows, pad int) {
	got, err := d.ask(ctx, name, rows, pad)
	switch {
	case err != nil:
		d.say("query %s: %v", name, err)
	case len(got.Frames) == 0 || got.Frames[0].Rows() == 0:
		d.say("query %s: no rows: %v (%v)", name, got.Error, got.Status)
	default:
		frame := got.Frames[0]
		d.say("query %s: %s, %d rows, %q to %q", name, frame.Name, frame.Rows(), frame.At(0, 0), frame.At(0, frame.Rows()-1))
	}
}

// ask queries for rows, with pad bytes of padding in the query.
func (d *dashboard) ask(ctx context.Context, name string, rows, pad int) (backend.DataResponse, error) {
	model := fmt.Appendf(nil, `{"rows":%d,"pad":%q}`, rows, strings.Repeat("x", pad))
	answer, err := d.data.QueryData(ctx, &pluginv2.QueryDataRequest{
		PluginContext: d.source,
		Queries:       []*pluginv2.DataQuery{{RefId: name, Json: model, TimeRange: &pluginv2.TimeRange{}}},
	})
	if err != nil {
		return backend.DataResponse{}, err
	}
	decoded, err := backend.FromProto().QueryDataResponse(answer)
	if err != nil {
		return backend.DataResponse{}, fmt.Errorf("read the answer: %w", err)
	}
	return decoded.Responses[name], nil
}

// call calls a resource, and prints the pieces of its answer.
func (d *dashboard) call(ctx context.Context, path string) error {
	answers, err := d.resource.CallResource(ctx, &pluginv2.CallResourceRequest{
		PluginContext: d.source, Path: path, Method: "POST", Url: path, Body: []byte("what " + d.self + " sent"),
	})
	if err != nil {
		return err
	}
	for {
		piece, err := answers.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		d.say("resource %s: %d %v %s", path, piece.GetCode(), piece.GetHeaders()["X-Piece"].GetValues(), piece.GetBody())
	}
}

// follow subscribes to a channel and prints its first ten packets, and the end if
// it has one.
func (d *dashboard) follow(ctx context.Context, path string) error {
	subscribed, err := d.stream.SubscribeStream(ctx, &pluginv2.SubscribeStreamRequest{PluginContext: d.source, Path: path})
	d.say("subscribe to %s: %v %v", path, subscribed.GetStatus(), err)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	packets, err := d.stream.RunStream(ctx, &pluginv2.RunStreamRequest{PluginContext: d.source, Path: path})
	if err != nil {
		return fmt.Errorf("follow %s: %w", path, err)
	}
	for range 10 {
		packet, err := packets.Recv()
		if err != nil {
			return fmt.Errorf("follow %s: %w", path, err)
		}
		d.say("channel %s: %s", path, packet.GetData())
	}
	if path == "ends" {
		_, err = packets.Recv()
		d.say("channel %s: %v", path, err)
	}
	return nil
}
