namespace UPool.Cluster.Membership;

/// <summary>A schema script: statements that may be applied again at any time, by several processes at once.</summary>
/// <remarks>
/// A line <c>-- next</c> begins another statement, so that a procedure's body may hold semicolons. A line
/// <c>-- query Key</c> begins a text that is stored in <c>OrleansQuery</c> under that key, replacing an older one.
/// Everything else is the server's own language. A part without a statement is left out.
/// </remarks>
/// <param name="Name">The script's name in errors and logs.</param>
/// <param name="Text">The statements.</param>
public sealed record SchemaScript(string Name, string Text)
{
    /// <summary>Whether nothing can start without it. Otherwise it is applied last, and the log reports a server that
    /// refuses it.</summary>
    public bool IsRequired { get; init; } = true;

    private const string NextMarker = "-- next";
    private const string QueryMarker = "-- query ";

    /// <summary>The script's parts, in order.</summary>
    internal IEnumerable<SchemaStatement> Statements()
    {
        var lines = new List<string>();
        string? queryKey = null;
        foreach (var raw in Text.Split('\n'))
        {
            var line = raw.TrimEnd();
            var isQuery = line.StartsWith(QueryMarker, StringComparison.Ordinal);
            if (!isQuery && line != NextMarker)
            {
                lines.Add(line);
                continue;
            }

            if (HasStatement(lines))
            {
                yield return new SchemaStatement(queryKey, string.Join('\n', lines).Trim());
            }

            lines.Clear();
            queryKey = isQuery ? line[QueryMarker.Length..].Trim() : null;
        }

        if (HasStatement(lines))
        {
            yield return new SchemaStatement(queryKey, string.Join('\n', lines).Trim());
        }
    }

    // The server answers an empty statement with an error.
    private static bool HasStatement(List<string> lines) =>
        lines.Exists(line => line.Length > 0 && !line.StartsWith("--", StringComparison.Ordinal));
}

/// <summary>A part of a script.</summary>
/// <param name="QueryKey">The key under which the text is stored for Orleans; null when it is executed.</param>
/// <param name="Text">The text.</param>
internal readonly record struct SchemaStatement(string? QueryKey, string Text);
