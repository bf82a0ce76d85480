package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

// listen starts the OpenTelemetry Collector's receiver of OTLP over HTTP. took is
// called with what comes, from several goroutines. Stop ends it.
func listen(ctx context.Context, address string, took func(ptrace.Traces) error) (stop func(context.Context) error, err error) {
	factory := otlpreceiver.NewFactory()
	config, ok := factory.CreateDefaultConfig().(*otlpreceiver.Config)
	if !ok {
		return nil, fmt.Errorf("the receiver has a configuration of another type")
	}
	config.GRPC = nil
	config.HTTP.ServerConfig.Endpoint = address
	sink, err := consumer.NewTraces(func(_ context.Context, t ptrace.Traces) error { return took(t) })
	if err != nil {
		return nil, err
	}
	r, err := factory.CreateTraces(ctx, receiver.Settings{
		ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}, config, sink)
	if err != nil {
		return nil, err
	}
	return r.Shutdown, r.Start(ctx, componenttest.NewNopHost())
}
