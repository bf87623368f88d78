using System.Text;

namespace UPool.Grains;

/// <summary>Validates names: Unicode, 1 character up to the column's length. White space is data.</summary>
public static class UserNames
{
    /// <summary>The most names of one batch. Bounds the locks of a transaction and the size of a message.</summary>
    public const int MaxBatch = 1000;

    /// <summary>The problem with a name; null if it is valid.</summary>
    /// <param name="name">The name.</param>
    /// <param name="maxLength">The most characters, counted as the database counts them: code points.</param>
    public static string? Problem(string? name, long maxLength)
    {
        if (string.IsNullOrEmpty(name)) return "name is empty";

        long length = 0;
        ReadOnlySpan<char> rest = name;
        while (!rest.IsEmpty)
        {
            // A lone surrogate is no character: the driver would send it as a question mark.
            if (Rune.DecodeFromUtf16(rest, out _, out int used) != System.Buffers.OperationStatus.Done)
                return "name is not valid Unicode";

            rest = rest[used..];
            length++;
        }

        return length > maxLength ? $"name is longer than {maxLength} characters" : null;
    }
}
