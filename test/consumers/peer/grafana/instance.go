// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
)

// QueryData answers each query with as many rows as it asks for.
func (i *instance) QueryData(_ context.Context, req *backend.QueryDataRequest) (*backend.QueryDataResponse, error) {
	answer := backend.NewQueryDataResponse()
	for _, q := range req.Queries {
		answer.Responses[q.RefID] = i.query(q)
	}
	return answer, nil
}

func (i *instance) query(q backend.DataQuery) backend.DataResponse {
	var model struct {
		Rows int    `json:"rows"`
		Pad  string `json:"pad"`
	}
	if err := json.Unmarshal(q.JSON, &model); err != nil {
		return backend.ErrDataResponse(backend.StatusBadRequest, i.said("bad query: %v", err))
	}
	switch {
	case model.Rows < 0:
		return backend.ErrDataResponse(backend.StatusBadRequest, i.said("no frame has %d rows", model.Rows))
	case model.Rows == 0:
		panic("no rows were asked for")
	}
	rows := make([]string, model.Rows)
	for n := range rows {
		rows[n] = i.said("row %d of %s", n, q.RefID)
	}
	frame := data.NewFrame(fmt.Sprintf("%d bytes of padding", len(model.Pad)), data.NewField("said", nil, rows))
	return backend.DataResponse{Frames: data.Frames{frame}}
}

// CheckHealth says that the secret has arrived.
func (i *instance) CheckHealth(context.Context, *backend.CheckHealthRequest) (*backend.CheckHealthResult, error) {
	return &backend.CheckHealthResult{Status: backend.HealthStatusOk, Message: i.said("the secret is %q", i.secret)}, nil
}

// CallResource answers in pieces, as an HTTP handler does that flushes.
func (i *instance) CallResource(_ context.Context, req *backend.CallResourceRequest, out backend.CallResourceResponseSender) error {
	if req.Path == "missing" {
		return errors.New(i.said("there is no %s", req.Path))
	}
	for n := range 3 {
		piece := &backend.CallResourceResponse{Status: 200, Body: []byte(i.said("%s %s, piece %d of %s", req.Method, req.Path, n, req.Body))}
		if n == 0 {
			piece.Headers = map[string][]string{"X-Piece": {"first"}}
		}
		if err := out.Send(piece); err != nil {
			return err
		}
	}
	return nil
}

// SubscribeStream allows every channel but one.
func (i *instance) SubscribeStream(_ context.Context, req *backend.SubscribeStreamRequest) (*backend.SubscribeStreamResponse, error) {
	status := backend.SubscribeStreamStatusOK
	if req.Path == "missing" {
		status = backend.SubscribeStreamStatusNotFound
	}
	return &backend.SubscribeStreamResponse{Status: status}, nil
}

// PublishStream allows nothing: the channels are the plugin's.
func (i *instance) PublishStream(context.Context, *backend.PublishStreamRequest) (*backend.PublishStreamResponse, error) {
	return &backend.PublishStreamResponse{Status: backend.PublishStreamStatusPermissionDenied}, nil
}

// RunStream sends ten packets, and then waits for the host to leave, unless the
// channel is one that ends.
func (i *instance) RunStream(ctx context.Context, req *backend.RunStreamRequest, out *backend.StreamSender) error {
	for n := range 10 {
		packet, err := json.Marshal(i.said("packet %d of %s", n, req.Path))
		if err != nil {
			return err
		}
		if err := out.SendJSON(packet); err != nil {
			return err
		}
	}
	if req.Path == "ends" {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}
