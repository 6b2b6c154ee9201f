// Echo server for the handler in gorilla.go or coder.go.
//
// Usage: echo [--tls CERT KEY] [--deflate]
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

// Maximum size of a message, in bytes.
const maxMessage = 16 << 20

func main() {
	var certificate, key string
	deflate := false
	for arguments := os.Args[1:]; len(arguments) > 0; arguments = arguments[1:] {
		switch {
		case arguments[0] == "--deflate":
			deflate = true
		case arguments[0] == "--tls" && len(arguments) > 2:
			certificate, key = arguments[1], arguments[2]
			arguments = arguments[2:]
		default:
			log.Fatalf("unknown argument %s", arguments[0])
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", handler(deflate))
	if certificate == "" {
		fmt.Printf("listening on ws://%s/\n", listener.Addr())
		log.Fatal(http.Serve(listener, nil))
	}
	fmt.Printf("listening on wss://%s/\n", listener.Addr())
	log.Fatal(http.ServeTLS(listener, nil, certificate, key))
}
