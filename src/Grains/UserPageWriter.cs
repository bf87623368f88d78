using System.Buffers;
using System.Text.Json;
using UPool.Management;

namespace UPool.Grains;

/// <summary>Writes the JSON of a page, row by row.</summary>
public sealed class UserPageWriter : IDisposable
{
    // Enough for a page of some rows; grows by doubling.
    private const int FirstBytes = 4 * 1024;

    private static readonly JsonEncodedText Id = JsonEncodedText.Encode("id");
    private static readonly JsonEncodedText Name = JsonEncodedText.Encode("name");

    // The nesting is correct by construction.
    private static readonly JsonWriterOptions Options = new()
    {
        Encoder = EnvelopeEncoder.Instance,
        SkipValidation = true,
    };

    private readonly ArrayBufferWriter<byte> _buffer = new(FirstBytes);
    private readonly Utf8JsonWriter _json;
    private long _lastId;

    /// <summary>Begins an empty page.</summary>
    public UserPageWriter()
    {
        _json = new Utf8JsonWriter(_buffer, Options);
        _json.WriteStartArray();
    }

    /// <summary>Adds a user.</summary>
    public void Add(long id, string name)
    {
        _lastId = id;
        _json.WriteStartObject();
        _json.WriteNumber(Id, id);
        _json.WriteString(Name, name);
        _json.WriteEndObject();
    }

    /// <summary>Ends the page and returns it.</summary>
    /// <param name="hasMore">Whether more rows exist after the last one.</param>
    public UserPage Finish(bool hasMore)
    {
        _json.WriteEndArray();
        _json.Flush();
        return new UserPage(_buffer.WrittenMemory, hasMore ? _lastId : null);
    }

    /// <inheritdoc/>
    public void Dispose() => _json.Dispose();
}
