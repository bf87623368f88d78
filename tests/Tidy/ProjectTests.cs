namespace UPool.Tidy.Tests;

/// <summary>The rules for every project.</summary>
public sealed class ProjectTests
{
    [Fact]
    public void Solution_EveryProject_IsInIt()
    {
        var solution = Repository.Text("uPool.sln", "every project").Replace('\\', '/');

        Findings.AssertNone(
            "projects that are not in uPool.sln",
            Repository.FilesOf(".csproj")
                .Where(project => !solution.Contains($"\"{project}\"", StringComparison.Ordinal)));
    }

    [Fact]
    public void LockFile_EveryProject_HasOne() =>
        Findings.AssertNone(
            "projects without a lock file (dotnet restore makes it)",
            Repository.FilesOf(".csproj")
                .Select(project => $"{Path.GetDirectoryName(project)}/packages.lock.json")
                .Where(lockFile => !Repository.Files.Contains(lockFile)));

    [Fact]
    public void Packages_EveryReference_TakesItsVersionFromTheOnePlace() =>
        Findings.AssertNone(
            "versions outside Directory.Packages.props",
            from project in Repository.FilesOf(".csproj")
            from line in Repository.Lines(project)
            where line.Contains("<PackageReference", StringComparison.Ordinal)
                && line.Contains("Version", StringComparison.Ordinal)
            select $"{project}: {line.Trim()}");
}
