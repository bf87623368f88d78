using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;

namespace UPool.Management;

/// <summary>
/// Escapes what JSON requires, and control characters, so that names come back as given, in every script and with
/// emoji. Safe because the replies are <c>application/json</c> with <c>nosniff</c>: never paste them into HTML
/// unescaped.
/// </summary>
/// <remarks>The framework's relaxed encoder escapes everything beyond the Basic Multilingual Plane.</remarks>
internal sealed unsafe class EnvelopeEncoder : JavaScriptEncoder
{
    // Required by JSON (RFC 8259, section 7); DEL and the C1 controls, which terminals interpret; and surrogates, which
    // must come in pairs.
    private static readonly SearchValues<char> Suspects = SearchValues.Create(MakeSuspects());

    /// <summary>The only instance; it has no state.</summary>
    public static EnvelopeEncoder Instance { get; } = new();

    /// <inheritdoc/>
    public override int MaxOutputCharactersPerInputCharacter => 6;

    /// <inheritdoc/>
    public override int FindFirstCharacterToEncode(char* text, int textLength)
    {
        var span = new ReadOnlySpan<char>(text, textLength);
        for (int from = 0; ;)
        {
            int found = span[from..].IndexOfAny(Suspects);
            if (found < 0) return -1;

            from += found;
            if (!char.IsHighSurrogate(span[from]) || from + 1 >= span.Length || !char.IsLowSurrogate(span[from + 1]))
                return from;

            from += 2;
        }
    }

    /// <inheritdoc/>
    public override bool WillEncode(int unicodeScalar) =>
        unicodeScalar is < 0x20 or '"' or '\\' or (>= 0x7F and < 0xA0) or (>= 0xD800 and <= 0xDFFF);

    /// <inheritdoc/>
    public override bool TryEncodeUnicodeScalar(
        int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten)
    {
        var output = new Span<char>(buffer, bufferLength);
        numberOfCharactersWritten = 0;
        if (!WillEncode(unicodeScalar))
            return new Rune(unicodeScalar).TryEncodeToUtf16(output, out numberOfCharactersWritten);

        char brief = unicodeScalar switch
        {
            '"' => '"',
            '\\' => '\\',
            '\b' => 'b',
            '\f' => 'f',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            _ => '\0',
        };
        if (brief == '\0')
        {
            return output.TryWrite(
                CultureInfo.InvariantCulture, $"\\u{unicodeScalar:X4}", out numberOfCharactersWritten);
        }

        if (output.Length < 2) return false;

        output[0] = '\\';
        output[1] = brief;
        numberOfCharactersWritten = 2;
        return true;
    }

    private static string MakeSuspects()
    {
        var suspects = new StringBuilder("\"\\");
        for (int c = 0; c < 0x20; c++) suspects.Append((char)c);
        for (int c = 0x7F; c < 0xA0; c++) suspects.Append((char)c);
        for (int c = 0xD800; c <= 0xDFFF; c++) suspects.Append((char)c);
        return suspects.ToString();
    }
}
