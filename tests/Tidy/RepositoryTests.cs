namespace UPool.Tidy.Tests;

public sealed class RepositoryTests
{
    [Fact]
    public void Solution_EveryProject_IsInIt()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "uPool.sln")))
        {
            root = root.Parent;
        }

        Assert.NotNull(root);
        var solution = File.ReadAllText(Path.Combine(root.FullName, "uPool.sln")).Replace('\\', '/');
        string[] folders = ["src", "tests"];
        var missing = folders
            .SelectMany(folder => Directory.EnumerateFiles(
                Path.Combine(root.FullName, folder), "*.csproj", SearchOption.AllDirectories))
            .Select(project => Path.GetRelativePath(root.FullName, project))
            .Where(project => !solution.Contains($"\"{project}\"", StringComparison.Ordinal));

        Assert.Empty(missing);
    }
}
