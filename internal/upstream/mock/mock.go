// Package mock makes the provider that is this program's own simulator, asked
// in process: the same bytes as over a socket, without one.
package mock

import (
	"context"

	"github.com/breakwater-llm/breakwater/internal/pipeline"
	"github.com/breakwater-llm/breakwater/internal/sim"
	"github.com/breakwater-llm/breakwater/internal/upstream"
	"github.com/breakwater-llm/breakwater/internal/upstream/anthropic"
	"github.com/breakwater-llm/breakwater/internal/upstream/openai"
	"github.com/breakwater-llm/breakwater/llm"
)

// Provider answers in the client's own protocol, so that nothing is translated.
type Provider struct {
	openai    *upstream.Endpoint
	anthropic *upstream.Endpoint
}

// address is where the simulator pretends to be.
const address = "http://simulator"

// New makes a provider of the given name around a simulator.
func New(name string, server *sim.Server) (*Provider, error) {
	rt := server.RoundTripper()
	oai, err := upstream.New(upstream.Options{Name: name, Kind: openai.Kind(address + "/v1"), BaseURL: address + "/v1", Transport: rt})
	if err != nil {
		return nil, err
	}
	ant, err := upstream.New(upstream.Options{Name: name, Kind: anthropic.Kind(), BaseURL: address, Transport: rt})
	if err != nil {
		return nil, err
	}
	return &Provider{openai: oai, anthropic: ant}, nil
}

// Do sends the call to the simulator.
func (p *Provider) Do(ctx context.Context, c *pipeline.Call, s *upstream.Send) (pipeline.Answer, error) {
	if c.Surface == llm.AnthropicMessages {
		return p.anthropic.Do(ctx, c, s)
	}
	return p.openai.Do(ctx, c, s)
}

// Offers reports whether the simulator has the operation.
func (p *Provider) Offers(op pipeline.Op) bool { return p.anthropic.Offers(op) }

// Host is the simulator's name in records.
func (p *Provider) Host() string { return p.openai.Host() }
