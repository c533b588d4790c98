module github.com/hashicorp/go-plugin

go 1.26

require (
	github.com/hashicorp/go-hclog v1.6.3
	github.com/hashicorp/yamux v0.1.2
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
)
