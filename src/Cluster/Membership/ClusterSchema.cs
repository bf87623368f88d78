namespace UPool.Cluster.Membership;

/// <summary>
/// The schema that a cluster over MySQL or MariaDB needs: membership, grain storage and the register of sessions.
/// Needs MariaDB 10.11 or MySQL 8.0.29 (<c>CREATE PROCEDURE IF NOT EXISTS</c>).
/// </summary>
public static class ClusterSchema
{
    private const string Prefix = "UPool.Cluster.Membership.Scripts.";
    private const string Suffix = ".sql";

    /// <summary>The scripts in the order in which they are applied.</summary>
    public static IReadOnlyList<SchemaScript> Scripts { get; } = Read();

    private static SchemaScript[] Read()
    {
        var assembly = typeof(ClusterSchema).Assembly;
        return
        [
            .. assembly.GetManifestResourceNames()
                .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))
                .Order(StringComparer.Ordinal)
                .Select(name =>
                {
                    using var stream = assembly.GetManifestResourceStream(name)
                        ?? throw new InvalidOperationException($"bug: the embedded script '{name}' cannot be read.");
                    using var reader = new StreamReader(stream);
                    return new SchemaScript(name[Prefix.Length..^Suffix.Length], reader.ReadToEnd());
                }),
        ];
    }
}
