// SPDX-License-Identifier: MPL-2.0

// Package engine is a secrets engine that is written with Vault's SDK.
package engine

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"
)

// Version is what the engine says of itself.
const Version = "v1.2.3"

// Options returns what the engine is served with. In AutoMTLS and metadata mode
// the TLS provider leaves TLS to go-plugin.
func Options() *plugin.ServeOpts {
	return &plugin.ServeOpts{
		BackendFactoryFunc: newEngine,
		TLSProviderFunc:    api.VaultPluginTLSProvider(nil),
		Logger:             hclog.NewNullLogger(),
	}
}

// engine is one mount. It keeps its name in memory, and everything else with its
// host: what it answers tells whether mounts are mixed up.
type engine struct {
	*framework.Backend
	mount string
}

// newEngine makes the engine of one mount, whose name its host gives it.
func newEngine(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	e := &engine{mount: config.Config["mount"]}
	e.Backend = &framework.Backend{
		BackendType:    logical.TypeLogical,
		RunningVersion: Version,
		PathsSpecial:   &logical.Paths{Unauthenticated: []string{"open/*"}},
		Paths:          []*framework.Path{e.secrets(), e.list()},
		InitializeFunc: e.initialize,
	}
	if err := e.Setup(ctx, config); err != nil {
		return nil, fmt.Errorf("set up the mount %q: %w", e.mount, err)
	}
	return e, nil
}

// initialize writes to the storage before the first request, as engines do that
// migrate what they keep.
func (e *engine) initialize(ctx context.Context, req *logical.InitializationRequest) error {
	return req.Storage.Put(ctx, &logical.StorageEntry{Key: "initialized", Value: []byte(e.mount)})
}

func (e *engine) secrets() *framework.Path {
	return &framework.Path{
		Pattern: "secret/" + framework.GenericNameRegex("name"),
		Fields: map[string]*framework.FieldSchema{
			"name":  {Type: framework.TypeString},
			"value": {Type: framework.TypeString},
		},
		ExistenceCheck: e.exists,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.CreateOperation: &framework.PathOperation{Callback: e.write},
			logical.UpdateOperation: &framework.PathOperation{Callback: e.write},
			logical.ReadOperation:   &framework.PathOperation{Callback: e.read},
			logical.DeleteOperation: &framework.PathOperation{Callback: e.remove},
		},
	}
}

func (e *engine) list() *framework.Path {
	return &framework.Path{
		Pattern: "secret/?$",
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ListOperation: &framework.PathOperation{
				Callback: func(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
					names, err := req.Storage.List(ctx, "secret/")
					if err != nil {
						return nil, fmt.Errorf("list the secrets: %w", err)
					}
					return logical.ListResponse(names), nil
				},
			},
		},
	}
}

func (e *engine) exists(ctx context.Context, req *logical.Request, _ *framework.FieldData) (bool, error) {
	entry, err := req.Storage.Get(ctx, req.Path)
	return entry != nil, err
}

func (e *engine) write(ctx context.Context, req *logical.Request, data *framework.FieldData) (*logical.Response, error) {
	value := data.Get("value").(string)
	if value == "bad" {
		return logical.ErrorResponse("no secret may be bad"), logical.ErrInvalidRequest
	}
	entry := &logical.StorageEntry{Key: req.Path, Value: []byte(value)}
	if err := req.Storage.Put(ctx, entry); err != nil {
		return nil, fmt.Errorf("keep %s: %w", req.Path, err)
	}
	return nil, nil
}

// read answers with a secret, which mount it is of, and how long the host lets
// it be leased.
func (e *engine) read(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	entry, err := req.Storage.Get(ctx, req.Path)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", req.Path, err)
	}
	if entry == nil {
		return nil, nil
	}
	return &logical.Response{Data: map[string]any{
		"value": string(entry.Value),
		"mount": e.mount,
		"lease": e.System().DefaultLeaseTTL().String(),
	}}, nil
}

func (e *engine) remove(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	return nil, req.Storage.Delete(ctx, req.Path)
}
