// SPDX-License-Identifier: MPL-2.0

package greetpb

import (
	"context"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
)

// Take implements GreeterServer.
func (s *Server) Take(_ context.Context, p *Parcel) (*Size, error) {
	n, err := s.Impl.Take(p.GetData())
	return &Size{Bytes: int64(n)}, err
}

// Give implements GreeterServer.
func (s *Server) Give(_ context.Context, n *Size) (*Parcel, error) {
	data, err := s.Impl.Give(int(n.GetBytes()))
	return &Parcel{Data: data}, err
}

// Hold implements GreeterServer.
func (s *Server) Hold(ctx context.Context, r *HoldRequest) (*HoldResponse, error) {
	return &HoldResponse{}, s.Impl.Hold(ctx, time.Duration(r.GetNanoseconds()))
}

// Held implements GreeterServer.
func (s *Server) Held(context.Context, *HeldRequest) (*HeldResponse, error) {
	n, err := s.Impl.Held()
	return &HeldResponse{Calls: int64(n)}, err
}

// Feed implements GreeterServer.
func (s *Server) Feed(r *FeedRequest, stream grpc.ServerStreamingServer[Parcel]) error {
	p := &Parcel{Data: make([]byte, r.GetBytes())}
	for range r.GetParcels() {
		if err := stream.Send(p); err != nil {
			return err
		}
	}
	return nil
}

// Pour implements GreeterServer.
func (s *Server) Pour(stream grpc.ClientStreamingServer[Parcel, Size]) error {
	var sum Size
	for {
		p, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&sum)
		}
		if err != nil {
			return err
		}
		sum.Bytes += int64(len(p.GetData()))
	}
}

// Take implements greet.Worker.
func (c *Caller) Take(data []byte) (int, error) {
	ctx, cancel := context.WithTimeout(c.ctx, deadline)
	defer cancel()
	n, err := c.client.Take(ctx, &Parcel{Data: data})
	return int(n.GetBytes()), err
}

// Give implements greet.Worker.
func (c *Caller) Give(n int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(c.ctx, deadline)
	defer cancel()
	p, err := c.client.Give(ctx, &Size{Bytes: int64(n)})
	return p.GetData(), err
}

// Hold implements greet.Worker.
func (c *Caller) Hold(ctx context.Context, d time.Duration) error {
	_, err := c.client.Hold(ctx, &HoldRequest{Nanoseconds: int64(d)})
	return err
}

// Held implements greet.Worker.
func (c *Caller) Held() (int, error) {
	ctx, cancel := context.WithTimeout(c.ctx, deadline)
	defer cancel()
	n, err := c.client.Held(ctx, &HeldRequest{})
	return int(n.GetCalls()), err
}

// Feed implements greet.Streamer.
func (c *Caller) Feed(n, size int) error {
	ctx, cancel := context.WithTimeout(c.ctx, deadline)
	defer cancel()
	stream, err := c.client.Feed(ctx, &FeedRequest{Parcels: int64(n), Bytes: int64(size)})
	if err != nil {
		return err
	}
	for i := range n {
		p, err := stream.Recv()
		if err != nil {
			return err
		}
		if len(p.GetData()) != size {
			return fmt.Errorf("message %d has %d bytes, want %d", i+1, len(p.GetData()), size)
		}
	}
	if _, err := stream.Recv(); err != io.EOF {
		return fmt.Errorf("after %d messages: %w, want the end", n, err)
	}
	return nil
}

// Pour implements greet.Streamer.
func (c *Caller) Pour(n, size int) error {
	ctx, cancel := context.WithTimeout(c.ctx, deadline)
	defer cancel()
	stream, err := c.client.Pour(ctx)
	if err != nil {
		return err
	}
	p := &Parcel{Data: make([]byte, size)}
	for range n {
		if err := stream.Send(p); err != nil {
			return err
		}
	}
	sum, err := stream.CloseAndRecv()
	if err == nil && sum.GetBytes() != int64(n)*int64(size) {
		err = fmt.Errorf("%d bytes have arrived, want %d", sum.GetBytes(), n*size)
	}
	return err
}
