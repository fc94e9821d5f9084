// Command keyturn-example prints an answer while the model makes it, over gRPC: go run . "Say hello"
//
// It reads KEYTURN_GRPC (the gateway's host and port), KEYTURN_KEY (the name of the key to use) and
// three PEM files: KEYTURN_CA, and the app's KEYTURN_CERT and KEYTURN_CERT_KEY.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"example.org/keyturn-example/keyturn"
)

// Repeats calls that an outage stopped before OpenAI was asked. Once the receipt is here, gRPC
// repeats nothing by itself: the model may have done the work.
const retries = `{"methodConfig": [{
  "name": [{"service": "keyturn.gateway.v1.ChatCompletionService"}],
  "retryPolicy": {"maxAttempts": 3, "initialBackoff": "0.2s", "maxBackoff": "2s",
                  "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}
}]}`

func main() {
	if err := ask(cmp.Or(strings.Join(os.Args[1:], " "), "Say hello")); err != nil {
		fmt.Fprintln(os.Stderr, reasonOf(err))
		os.Exit(1)
	}
}

func ask(question string) error {
	trust, err := transportCredentials()
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient(os.Getenv("KEYTURN_GRPC"),
		grpc.WithTransportCredentials(trust), grpc.WithDefaultServiceConfig(retries))
	if err != nil {
		return err
	}
	defer connection.Close()

	limit, err := time.ParseDuration(cmp.Or(os.Getenv("TIMEOUT_SECONDS"), "60") + "s")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit) // bounds OpenAI's part, too
	defer cancel()                                                  // ends the request to OpenAI
	ctx = metadata.AppendToOutgoingContext(ctx, "x-keyturn-key", os.Getenv("KEYTURN_KEY"))

	stream, err := keyturn.NewChatCompletionServiceClient(connection).StreamChatCompletion(ctx,
		&keyturn.StreamChatCompletionRequest{Parameters: &keyturn.ChatCompletionParameters{
			Model: cmp.Or(os.Getenv("KEYTURN_MODEL"), "gpt-4o-mini"),
			Messages: []*keyturn.ChatMessage{
				{Role: "user", Body: &keyturn.ChatMessage_Content{Content: question}},
			},
		}})
	if err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, choice := range response.GetChunk().GetChoices() {
			fmt.Print(choice.GetDelta().GetContent())
		}
	}
	fmt.Println()
	for name, values := range stream.Trailer() {
		if strings.HasPrefix(name, "x-keyturn-") { // which key, grant and lease served it
			fmt.Fprintf(os.Stderr, "%s: %s\n", name, strings.Join(values, ", "))
		}
	}
	return nil
}

func transportCredentials() (credentials.TransportCredentials, error) {
	certificate, err := tls.LoadX509KeyPair(os.Getenv("KEYTURN_CERT"), os.Getenv("KEYTURN_CERT_KEY"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(os.Getenv("KEYTURN_CA"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("KEYTURN_CA holds no certificate")
	}
	return credentials.NewTLS(&tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13,
	}), nil
}

// reasonOf returns the reason of a refusal; docs/app-developers.md lists them and what to do.
func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return status.Code(err).String() // no refusal: a deadline, or nobody there
}
