using System.Text.RegularExpressions;

namespace UPool.Tidy.Tests;

/// <summary>The layer table of ARCHITECTURE.md: which project may reference which, and which may see another's
/// internals.</summary>
public sealed partial class LayerTests
{
    // The references that each project of src/ may have, to projects and packages. A new entry is a decision.
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["UPool.Abstractions"] = [],
        ["UPool"] = ["UPool.Abstractions", "MySqlConnector", "Microsoft.Extensions.Logging.Abstractions"],
        ["UPool.Sqlite"] = ["UPool", "Microsoft.Data.Sqlite", "Microsoft.Extensions.Hosting.Abstractions"],
        ["UPool.Hosting"] =
        [
            "UPool", "Microsoft.Extensions.Hosting.Abstractions",
            "Microsoft.Extensions.Options.ConfigurationExtensions",
        ],
        ["UPool.Cluster.Abstractions"] = ["UPool.Abstractions", "Microsoft.Orleans.Sdk"],
        ["UPool.Cluster"] =
        [
            "UPool.Hosting", "UPool.Cluster.Abstractions", "Microsoft.Orleans.Server", "Microsoft.Orleans.Client",
            "Microsoft.Orleans.Clustering.AdoNet", "Microsoft.Orleans.Persistence.AdoNet",
            "Microsoft.Extensions.Hosting", "Microsoft.Extensions.Options.ConfigurationExtensions",
        ],
        ["UPool.Management"] =
        [
            "UPool.Hosting", "Microsoft.AspNetCore.App", "OpenTelemetry.Exporter.OpenTelemetryProtocol",
            "OpenTelemetry.Exporter.Prometheus.AspNetCore", "OpenTelemetry.Extensions.Hosting",
        ],
        ["UPool.Grains"] = ["UPool.Cluster", "Dapper", "Microsoft.Orleans.Sdk"],
        ["UPool.Silo"] = ["UPool.Grains", "UPool.Management", "UPool.Sqlite"],
        ["UPool.Api"] = ["UPool.Grains", "UPool.Management", "UPool.Sqlite", "Microsoft.AspNetCore.OpenApi"],
    };

    // In addition to the tests and the bench.
    private static readonly string[] AllowedFriends =
    [
        "UPool.Abstractions -> UPool", "UPool.Abstractions -> UPool.Cluster", // Deadlines as timestamps.
        "UPool -> UPool.Sqlite", // A driver.
        "UPool -> UPool.Hosting", // Takes the embedded default.
        "UPool -> UPool.Cluster", // Shared calls use the read batches.
        "UPool -> UPool.Grains", // FixedSelect, until plain statements are public.
        "UPool.Hosting -> UPool.Cluster", "UPool.Hosting -> UPool.Management",
    ];

    private static readonly string[] Drivers = ["MySqlConnector", "Microsoft.Data.Sqlite", "SQLitePCL"];
    private static readonly string[] DriverFolders = ["src/Pool/MySql/", "src/Sqlite/"];

    // Folders whose types are, or may be, in the parent namespace: users of the pool find its types in UPool.
    private static readonly string[] Flat = ["UPool.Ado", "UPool.Sharing", "UPool.MySql.Families"];

    private static IEnumerable<(string Name, string File)> Projects =>
        Repository.FilesOf(".csproj", "src/").Select(static file => (Path.GetFileNameWithoutExtension(file), file));

    [Fact]
    public void Projects_EveryReference_IsInTheTable() =>
        Findings.AssertNone(
            "references that the layers do not allow",
            from project in Projects
            from found in Reference().Matches(Repository.Text(project.File, "a project"))
            let name = found.Groups[1].Value is var path && path.EndsWith(".csproj", StringComparison.Ordinal)
                ? Path.GetFileNameWithoutExtension(path)
                : path
            where !name.StartsWith("Microsoft.CodeAnalysis.", StringComparison.Ordinal)
                && !Allowed.GetValueOrDefault(project.Name, []).Contains(name)
            select $"{project.Name} -> {name}");

    [Fact]
    public void Internals_EveryFriend_IsListed() =>
        Findings.AssertNone(
            "projects that may see another's internals but are not listed",
            from project in Projects
            from found in Friend().Matches(Repository.Text(project.File, "a project"))
            let friend = $"{project.Name} -> {found.Groups[1].Value}"
            where !friend.EndsWith(".Tests", StringComparison.Ordinal)
                && !friend.EndsWith(".Bench.Pool", StringComparison.Ordinal) && !AllowedFriends.Contains(friend)
            select friend);

    [Fact]
    public void Drivers_EveryUse_IsInADriversFolder() =>
        Findings.AssertNone(
            "files that use a driver outside its folder",
            from file in Repository.FilesOf(".cs", "src/")
            where !DriverFolders.Any(folder => file.StartsWith(folder, StringComparison.Ordinal))
            from found in Using().Matches(Repository.Text(file, "code"))
            where Drivers.Any(driver => IsIn(found.Groups[1].Value, driver))
            select $"{file}: {found.Groups[1].Value}");

    [Fact]
    public void Namespaces_EveryFile_AreItsFolder() =>
        Findings.AssertNone(
            "files whose namespace is not their folder's",
            from project in Projects
            let folder = Path.GetDirectoryName(project.File) + "/"
            let root = Root().Match(Repository.Text(project.File, "a project")).Groups[1].Value
            from file in Repository.FilesOf(".cs", folder)
            let own = Namespace().Match(Repository.Text(file, "code")).Groups[1].Value
            let below = Path.GetDirectoryName(file[folder.Length..])!.Replace('/', '.')
            let due = below.Length == 0 ? root : $"{root}.{below}"
            where own.Length > 0 && own != due && !(Flat.Contains(due) && own == due[..due.LastIndexOf('.')])
            select $"{file}: {own}, not {due}");

    [Fact]
    public void Cluster_NoTwoFolders_KnowEachOtherInACircle()
    {
        var edges = (
            from file in Repository.FilesOf(".cs", "src/Cluster/")
            from found in Using().Matches(Repository.Text(file, "code"))
            where IsIn(found.Groups[1].Value, "UPool.Cluster")
            select (From: file.Split('/')[2], To: found.Groups[1].Value.Split('.').ElementAtOrDefault(2)))
            .Where(static edge => edge.To is not null).Distinct().ToArray();

        // Remove folders without a reference to a remaining folder, until only cycles and their users remain.
        HashSet<string> left = [.. edges.Select(static edge => edge.From)];
        while (left.RemoveWhere(folder => !edges.Any(edge => edge.From == folder && left.Contains(edge.To!))) > 0)
        {
        }

        Findings.AssertNone("folders of src/Cluster in a reference cycle, or that reference one", left.Order());
        Findings.AssertNone(
            "folders of src/Cluster that reference Registration",
            edges.Where(static edge => edge.To == "Registration").Select(static edge => edge.From));
    }

    private static bool IsIn(string name, string parent) =>
        name == parent || name.StartsWith(parent + ".", StringComparison.Ordinal);

    [GeneratedRegex(@"<(?:ProjectReference|PackageReference|FrameworkReference) Include=""([^""]+)""")]
    private static partial Regex Reference();

    [GeneratedRegex(@"<InternalsVisibleTo Include=""([^""]+)""")]
    private static partial Regex Friend();

    [GeneratedRegex(@"^using ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Using();

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex("<RootNamespace>([^<]+)<")]
    private static partial Regex Root();
}
