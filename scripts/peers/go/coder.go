package main

import (
	"net/http"

	"github.com/coder/websocket"
)

// Echoes with coder/websocket, which was nhooyr.io/websocket until version 1.8.11.
func handler(deflate bool) http.HandlerFunc {
	options := websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled}
	if deflate {
		options.CompressionMode = websocket.CompressionNoContextTakeover
	}
	return func(w http.ResponseWriter, r *http.Request) {
		connection, err := websocket.Accept(w, r, &options)
		if err != nil {
			return
		}
		defer connection.Close(websocket.StatusInternalError, "")
		connection.SetReadLimit(maxMessage)
		for {
			kind, message, err := connection.Read(r.Context())
			if err != nil {
				return
			}
			if err := connection.Write(r.Context(), kind, message); err != nil {
				return
			}
		}
	}
}
