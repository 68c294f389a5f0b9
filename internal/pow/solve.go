package pow

import (
	"context"
	"encoding/binary"
	"math"
)

// Solve does the work that a token asks for, as a browser does. It needs no
// secret. The context is looked at every few thousand hashes. Errors:
// ErrMalformed for what is no token, and the context's.
func Solve(ctx context.Context, token string) (answer string, err error) {
	var raw [bodyLen + macLen]byte
	if len(token) != tokenLen {
		return "", ErrMalformed
	}
	if _, err := encoding.Decode(raw[:], []byte(token)); err != nil {
		return "", ErrMalformed
	}
	b := (*body)(raw[:])
	if b[0] != version || b.count() > MaxCount || b.bits() > MaxBits {
		return "", ErrMalformed
	}
	nonces := make([]byte, 0, b.count()*nonceLen)
	for puzzle := range b.count() {
		nonce, err := solveOne(ctx, newMessage(token, puzzle), b.bits())
		if err != nil {
			return "", err
		}
		nonces = binary.BigEndian.AppendUint32(nonces, nonce)
	}
	return token + "." + encoding.EncodeToString(nonces), nil
}

// looksUp is how many hashes go by between two looks at the context.
const looksUp = 4096

func solveOne(ctx context.Context, m message, zeros int) (uint32, error) {
	for nonce := range uint32(math.MaxUint32) {
		if nonce%looksUp == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if m.solvedBy(nonce, zeros) {
			return nonce, nil
		}
	}
	return 0, ErrMalformed // 2^32 tries for at most 2^24 expected: cannot be in this universe
}
