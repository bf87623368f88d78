namespace UPool.Cluster.Membership;

/// <summary>
/// The schema that a cluster over MySQL or MariaDB needs: membership, grain storage and the register of sessions.
/// Tested on MySQL 9.7, MariaDB 10.11 and MariaDB 11.8.
/// </summary>
public static class ClusterSchema
{
    private const string Prefix = "UPool.Cluster.Membership.Scripts.";
    private const string Suffix = ".sql";

    // Only a budget needs the register of sessions, and some servers refuse tables in memory.
    private const string Register = "4-session-register";

    /// <summary>The scripts in the order in which they are applied. The register of sessions is not required: only a
    /// budget needs it.</summary>
    public static IReadOnlyList<SchemaScript> Scripts { get; } = Read();

    /// <summary>The scripts for a deployment.</summary>
    /// <param name="withBudget">Whether it has a budget, which needs all of them.</param>
    internal static IEnumerable<SchemaScript> ScriptsFor(bool withBudget) =>
        withBudget ? Scripts.Select(static script => script with { IsRequired = true }) : Scripts;

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
                    string script = name[Prefix.Length..^Suffix.Length];
                    return new SchemaScript(script, reader.ReadToEnd()) { IsRequired = script != Register };
                }),
        ];
    }
}
