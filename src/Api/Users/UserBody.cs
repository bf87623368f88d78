using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace UPool.Api.Users;

/// <summary>
/// Reads names from bodies. Fields other than <c>name</c> are refused: to accept a field and not store it would mislead
/// the client. Messages never repeat a value (INV-8). The grain checks the length of a name.
/// </summary>
internal static class UserBody
{
    /// <summary>The most users of one batch: a single transaction, for which other writers may have to wait.</summary>
    public const int MaxBatch = 1_000;

    // A batch of objects needs two levels.
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 8 };

    public static bool TryReadName(
        ReadOnlyMemory<byte> utf8, [NotNullWhen(true)] out string? name, [NotNullWhen(false)] out string? wrong)
    {
        name = null;
        using JsonDocument? document = TryParse(utf8);
        if (document is null)
        {
            wrong = NotJson;
            return false;
        }

        wrong = ReadName(document.RootElement, out name);
        return wrong is null;
    }

    public static bool TryReadNames(
        ReadOnlyMemory<byte> utf8, [NotNullWhen(true)] out string[]? names, [NotNullWhen(false)] out string? wrong)
    {
        names = null;
        using JsonDocument? document = TryParse(utf8);
        if (document is null)
        {
            wrong = NotJson;
            return false;
        }

        JsonElement root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Array || root.GetArrayLength() is < 1 or > MaxBatch)
        {
            wrong = $"the body must be an array of 1 to {MaxBatch} users";
            return false;
        }

        var read = new string[root.GetArrayLength()];
        int index = 0;
        foreach (JsonElement item in root.EnumerateArray())
        {
            if (ReadName(item, out string? name) is { } problem)
            {
                wrong = $"user {index + 1} of the batch: {problem}";
                return false;
            }

            read[index++] = name!;
        }

        names = read;
        wrong = null;
        return true;
    }

    private const string NotJson = "the body is not JSON";

    private static JsonDocument? TryParse(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            return JsonDocument.Parse(utf8, Strict);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string? ReadName(JsonElement user, out string? name)
    {
        name = null;
        if (user.ValueKind != JsonValueKind.Object) return "a user must be an object with a name";

        try
        {
            foreach (JsonProperty property in user.EnumerateObject())
            {
                if (!property.NameEquals("name"u8)) return "a user has no field but name";
                if (name is not null) return "name is given more than once";
                if (property.Value.ValueKind != JsonValueKind.String) return "name must be a string";

                name = property.Value.GetString();
            }
        }
        catch (InvalidOperationException)
        {
            // A lone escaped surrogate: valid by the grammar of JSON, but not a text.
            return "name is not valid Unicode";
        }

        return name is null ? "name is missing" : null;
    }
}
